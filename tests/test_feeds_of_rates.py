"""Rate decks, exchange rates and lists of networks as carriers, switches and the European Central Bank write them.

Belongs here: whole files, most of them real, from the landing to the last digit in stage; what is expected of a real
one is read from it again by Python's own csv. Does not belong here: rows that a real file does not have (dbt unit tests
in models/stage/rate_decks, fx_rates and networks).
"""

import csv
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pytest
from conftest import REAL_FILES, needs_real_files

from orchestration.dbt_run import dbt

# Where each real file lands and under which name: carrier, currency and first day stand in it.
LANDED = {
    "rate_decks/az_decimal_comma/ponte_2026-10-01.csv": (
        "rates/asterisell_international_call_rates_it_decimalcomma.csv"
    ),
    "rate_decks/twt_offer/twt_EUR_2014-06-05.csv": "rates/asterisell_doc_twt_7col.csv",
    "rate_decks/twt_change_notice/twt_EUR_2010-02-15.csv": "rates/asterisell_doc_twt_5col_change_notice.csv",
    "rate_decks/astpp/acme_telecom_USD_2026-10-01.csv": "rates/astpp_terminationrates_sample.csv",
    "rate_decks/ixc_softswitch/ixc_USD_2026-10-01.csv": (
        "rates/ixc_softswitch_code_country_price_semicolon_decimalcomma.csv"
    ),
    "rate_decks/prefix_list/stats_usd_2026-10-01.txt": "rates/cdrstats_import_carrier_rates.txt",
    "fx_rates/ecb/eurofxref-hist.csv": "reference/ecb_eurofxref-hist.csv",
    "networks/mcc_mnc/mcc-mnc-table.csv": "reference/mcc_mnc_table_musalbas.csv",
}
HEADERLESS = ("ixc_softswitch", "prefix_list")


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    for place, sample in LANDED.items():
        (folder / place).parent.mkdir(parents=True)
        if REAL_FILES.is_dir():
            shutil.copy(REAL_FILES / sample, folder / place)
    (folder / "fx_rates/ecb/eurofxref.csv").write_text("Date, USD, JPY, \n02 November 2026, 1.1180, 175.90, \n")
    (folder / "rate_decks/workbook").mkdir()
    write_workbook(folder / "rate_decks/workbook/acme_telecom_EUR_2026-11-01 v2.xlsx")
    return folder


def write_workbook(path: Path) -> None:
    """A deck in two sheets, with a third one that is none. Codes are numbers, as people leave them."""
    workbook = openpyxl.Workbook()
    workbook.active.append(["Valid from November. Call us!"])
    header = ["Code", "Destination", "Rate", "Effective", "Change"]
    sheets = {
        "Rates Landline": [
            [40, "Romania", 0.07, date(2026, 10, 1), "same"],
            ["+41", "Switzerland", 0.1 + 0.2, date(2026, 11, 1)],
        ],
        "Rates Mobile": [
            [407, "Romania Mobile", 0.00001, date(2026, 11, 8), "up"],
            ["41-79", "Switzerland Mobile", "ask", date(2026, 11, 1)],
        ],
    }
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in [header, *rows]:
            sheet.append(row)
    workbook.save(path)


@pytest.fixture(scope="module")
def warehouse(staged, landing: Path) -> Path:
    return staged(landing)


def query(warehouse: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(warehouse)) as connection:
        return connection.execute(sql).fetchall()


def lines(landing: Path, feed: str, delimiter: str = ",") -> list[list[str]]:
    """The records of a feed's real file, without its header."""
    [path] = (landing / place for place in LANDED if place.split("/")[1] == feed)
    with path.open(encoding="utf-8", newline="") as text:
        records = list(csv.reader(text, delimiter=delimiter))
    return records[0 if feed in HEADERLESS else 1 :]


def deck(warehouse: Path, feed: str) -> list[tuple]:
    return query(
        warehouse,
        f"""
        select dial_code, destination_name, rate_amount, connect_fee_amount, effective_date, refusal_reason
        from stage.stg_rate_decks__{feed} order by record_number
        """,
    )


def rates_of_file(warehouse: Path, file_name: str) -> list[tuple]:
    return query(
        warehouse,
        f"""
        select rate_date, quote_currency, fx_rate, refusal_reason from stage.stg_fx_rates__ecb
        where file_id = (select file_id from ingest.files where file_name = '{file_name}')
        order by rate_date, quote_currency
        """,
    )


@needs_real_files
@pytest.mark.parametrize("place", LANDED)
def test_every_record_of_a_real_file_is_loaded_or_in_quarantine(warehouse, landing, place):
    kind, feed, name = place.split("/")
    found = query(
        warehouse,
        f"""
        select outcome, message, loaded_count + quarantined_count, quarantined_count
        from ingest.files where kind = '{kind}' and feed = '{feed}' and file_name = '{name}'
        """,
    )
    assert found == [("loaded", None, len(lines(landing, feed)), 0)]


@needs_real_files
def test_a_real_az_deck_is_read_to_the_last_digit(warehouse, landing):
    expected = [
        (code, name, Decimal(rate.replace(",", ".")), 0, date(2026, 10, 1), None)
        for name, code, rate in lines(landing, "az_decimal_comma")
    ]
    assert deck(warehouse, "az_decimal_comma") == expected
    assert len(expected) == 11_894


@needs_real_files
def test_a_real_offer_is_a_full_deck_of_one_price_for_peak_and_off_peak(warehouse, landing):
    expected = [
        (code, name, Decimal(peak), 0, date(2014, 6, 5), None) for name, code, peak, *_ in lines(landing, "twt_offer")
    ]
    assert deck(warehouse, "twt_offer") == expected
    assert query(
        warehouse,
        "select distinct carrier_id, service, direction, deck_kind, rate_currency, rate_per_quantity, rate_unit "
        "from stage.stg_rate_decks__twt_offer",
    ) == [("twt", "voice", "outbound", "full", "EUR", 60, "second")]


@needs_real_files
def test_a_real_change_notice_amends_from_its_own_day_and_closes_nothing(warehouse, landing):
    expected = [
        (code, name, Decimal(rate), 0, date(2010, 2, 22), None)
        for code, name, rate, *_ in lines(landing, "twt_change_notice")
    ]
    assert deck(warehouse, "twt_change_notice") == expected
    assert query(warehouse, "select distinct deck_kind, is_closed from stage.stg_rate_decks__twt_change_notice") == [
        ("amendment", False)
    ]


@needs_real_files
def test_a_real_astpp_deck_keeps_its_increments_beside_its_rates(warehouse, landing):
    records = lines(landing, "astpp")
    assert deck(warehouse, "astpp") == [
        (code, name, Decimal(cost), Decimal(fee), date(2026, 10, 1), None) for code, name, fee, _, cost, *_ in records
    ]
    assert query(
        warehouse, "select initial_increment, increment from ingest.rate_decks__astpp order by _record_number"
    ) == [(first, next_ones) for *_, first, next_ones, _, _ in records]
    assert query(warehouse, "select distinct carrier_id, rate_currency from stage.stg_rate_decks__astpp") == [
        ("acme_telecom", "USD")
    ]


@needs_real_files
def test_real_decks_without_a_header_lose_no_first_row(warehouse, landing):
    assert deck(warehouse, "ixc_softswitch") == [
        (code, name, Decimal(price.replace(",", ".")), 0, date(2026, 10, 1), None)
        for code, name, price in lines(landing, "ixc_softswitch", ";")
    ]
    assert deck(warehouse, "prefix_list") == [
        (code, code, Decimal(rate.strip()), 0, date(2026, 10, 1), None) for code, rate in lines(landing, "prefix_list")
    ]


@needs_real_files
def test_each_rate_of_the_central_banks_history_is_staged_once(warehouse, landing):
    with (landing / "fx_rates/ecb/eurofxref-hist.csv").open(encoding="utf-8", newline="") as text:
        header, *days = csv.reader(text)
    expected = {
        (date.fromisoformat(day), currency): Decimal(rate)
        for day, *rates in days
        for currency, rate in zip(header[1:], rates, strict=True)
        if rate not in ("N/A", "")
    }
    found = rates_of_file(warehouse, "eurofxref-hist.csv")
    assert len(found) == len(expected)
    assert {(day, currency): rate for day, currency, rate, _ in found} == expected
    assert {reason for *_, reason in found} == {None}


def test_the_central_banks_file_of_one_day_is_read_beside_its_history(warehouse):
    assert rates_of_file(warehouse, "eurofxref.csv") == [
        (date(2026, 11, 2), "JPY", Decimal("175.90"), None),
        (date(2026, 11, 2), "USD", Decimal("1.1180"), None),
    ]


def test_the_sheets_of_a_workbook_are_one_deck_with_codes_as_text(warehouse):
    assert query(
        warehouse,
        "select dial_code, rate_amount, deck_version, deck_kind, effective_date, carrier_id, refusal_reason "
        "from stage.stg_rate_decks__workbook order by destination_name",
    ) == [
        ("40", Decimal("0.07"), "A-Z 2026-11-01 v2", "full", date(2026, 11, 1), "acme_telecom", None),
        ("407", Decimal("0.00001"), "A-Z 2026-11-01 v2", "amendment", date(2026, 11, 8), "acme_telecom", None),
        ("41", Decimal("0.3"), "A-Z 2026-11-01 v2", "full", date(2026, 11, 1), "acme_telecom", None),
        ("41-79", None, "A-Z 2026-11-01 v2", "full", date(2026, 11, 1), "acme_telecom", "dial_code_unreadable"),
    ]


@needs_real_files
def test_a_real_list_of_networks_names_each_network_once(warehouse, landing):
    pairs = [(mcc, mnc) for mcc, _, mnc, *_ in lines(landing, "mcc_mnc")]
    found = query(warehouse, "select mcc, mnc, refusal_reason from stage.stg_networks__mcc_mnc order by record_number")
    assert [(mcc, mnc) for mcc, mnc, _ in found] == pairs
    assert [(mcc, mnc) for mcc, mnc, reason in found if reason is None] == list(dict.fromkeys(pairs))
    repeated = {(mcc, mnc) for mcc, mnc, reason in found if reason == "network_repeated"}
    assert len(repeated) == 117


@needs_real_files
def test_a_day_of_rates_that_is_lost_on_the_way_to_stage_is_told(warehouse, tmp_path, monkeypatch):
    """The law counts days, for a day is many rates; so it must see when one is gone."""
    monkeypatch.setenv("TOLLGATE_WAREHOUSE", str(warehouse))
    [law] = dbt(tmp_path, "compile", "--select", "assert_every_loaded_row_is_staged").result.results
    with duckdb.connect(str(warehouse)) as connection:
        connection.begin()
        assert connection.execute(law.node.compiled_code).fetchall() == []
        connection.execute("delete from ingest.fx_rates__ecb where _record_number = 7")
        [(_, loaded_count, staged_count)] = connection.execute(law.node.compiled_code).fetchall()
        connection.rollback()
    assert (loaded_count, staged_count) == (7_126, 7_125)
