"""The whole sentence on real parts: the command line in its own process, on a simulated and on a hostile month."""

import csv
import io
import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conftest import DEMO_EVENTS, tollgate
from rich.console import Console

from orchestration import builds, feeds, summary
from orchestration.loading import load_feed
from orchestration.settings import Home
from orchestration.terms import OPTIONAL_FILES

PROJECT = Path(__file__).parents[1]
DEMO_TERMS = PROJECT / "seeds" / "terms"
USAGE_HEADER = (
    "event_id,service,direction,account_id,carrier_id,origin,destination,"
    "started_at,status,quantity,quantity_unit,received_at"
)
REAL_DECK = PROJECT.parent / "shared/data/rates/asterisell_international_call_rates_it_decimalcomma.csv"


def published(home: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(home / "published" / "settlement.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def warehouse(home: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def copy_home(source: Path, target: Path) -> None:
    """All but Dagster's own history, whose databases are no files to copy while they are warm."""
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("dagster"))


@pytest.fixture(scope="module")
def truth(demo) -> dict:
    return json.loads((demo[0] / "simulation" / "truth.json").read_text())


# --- the demo month -------------------------------------------------------------------------------------------------


def test_every_invoice_line_is_rated_to_the_cent_of_an_independent_rater(demo, truth):
    rated = {
        (carrier, number, line): (rated, invoiced)
        for carrier, number, line, rated, invoiced in published(
            demo[0],
            """select carrier_id, invoice_number, line_number, rated_amount, invoiced_amount
            from settle.fct_carrier_invoice_lines where is_invoiced""",
        )
    }
    expected = {
        (line["carrier_id"], line["invoice_number"], int(line["line_number"])): (
            Decimal(line["rated_amount"]),
            Decimal(line["invoiced_amount"]),
        )
        for line in truth["lines"]
        if line["line_number"] is not None
    }
    assert len(expected) > 500
    assert rated == expected


def test_the_carriers_mistakes_are_found_with_cause_and_amount(demo, truth):
    found = {
        (carrier, cause): amount
        for carrier, cause, amount in published(
            demo[0],
            """select carrier_id, cause, sum(component_variance_amount) from settle.fct_variance_components
            group by carrier_id, cause""",
        )
    }
    told: dict[tuple[str, str], Decimal] = {}
    for line in truth["lines"]:
        for mistake in line["causes"]:
            key = (line["carrier_id"], mistake["cause"])
            told[key] = told.get(key, Decimal(0)) + Decimal(mistake["amount"])
    assert found == told


def test_a_carrier_that_bills_right_has_no_variance(demo):
    assert published(
        demo[0],
        """select carrier_id, variance_amount from settle.fct_carrier_settlements
        where carrier_id in ('ponte-wholesale', 'twilio') and period_start_date = date '2026-10-01' order by 1""",
    ) == [("ponte-wholesale", Decimal(0)), ("twilio", Decimal(0))]


def test_increments_that_nobody_agreed_to_are_named_with_their_first_day(demo):
    [(agreed, found, deviating, reproduced, since)] = published(
        demo[0],
        """select agreed_policy_name, deviating_policy_name, deviating_line_count, reproduced_line_count,
            cast(reproduces_from_date as varchar)
        from settle.fct_carrier_policies where carrier_id = 'nordlink' and billing_period_id like '%2026-10'""",
    )
    assert (agreed, found, since) == ("30/6", "60/60", "2026-10-15")
    assert reproduced == deviating > 20


def test_single_calls_that_a_carrier_lists_otherwise_are_found_one_by_one(demo, truth):
    home, run = demo
    mistakes = truth["call_records"]
    found = {name: set() for name in ("mismatch", "missing_theirs", "duplicate", "missing_ours", "partial")}
    for name, event_id, cdr_id in published(
        home, "select match_class, event_id, cdr_id from settle.fct_carrier_call_differences"
    ):
        found[name].add(event_id.removeprefix("native:") if event_id else cdr_id)
    assert found["missing_theirs"] == set(mistakes["left_out"])
    assert found["mismatch"] >= set(mistakes["lengthened"])
    assert len(found["duplicate"]) == len(mistakes["listed_twice"]) > 0
    assert len(found["missing_ours"]) == len(mistakes["invented_beside"]) > 0
    # Of the calls that were not lengthened, those differ that the carrier bills by its own increments.
    since = warehouse(
        home,
        """select count(*) from reconcile.int_calls_matched
        where difference_type = 'quantity' and call_date < date '2026-10-15'""",
    )
    assert since == [(0,)] and not found["partial"]
    assert "nordlink lists single calls (voice)" in run.stdout


def test_partners_are_charged_for_what_they_used(demo, truth):
    charged = dict(
        warehouse(
            demo[0],
            """select plan_id, sum(charged_quantity) from settle.fct_partner_statement_lines
            where period_start_date = date '2026-10-01' and plan_id is not null group by plan_id""",
        )
    )
    used = {charge["plan_id"]: Decimal(charge["billed_quantity"]) for charge in truth["charges"]}
    assert charged == {plan: quantity for plan, quantity in used.items() if quantity}


def test_every_event_settles_or_is_counted_with_its_reason(demo, truth):
    home, run = demo
    [(events, reasons)] = published(
        home,
        """select sum(event_count), sum(unrated_event_count) from settle.fct_usage_daily""",
    )
    assert events == truth["events"]["true_events"] == DEMO_EVENTS
    assert reasons == sum(truth["events"]["unrated_and_charged"].values()) + truth["events"]["unknown_carrier"]
    [(broken,)] = warehouse(
        home, "select (select count(*) from ingest.quarantine) + (select count(*) from stage.int_rows_refused)"
    )
    assert broken == truth["events"]["broken_rows"] == 3
    for said in ("unknown_carrier, ghost-tel", "2 rows quarantined", "1 row refused", "money at risk"):
        assert said in run.stdout


def test_the_summary_names_each_carrier_and_partner_and_where_the_tables_are(demo):
    home, run = demo
    parties = [row["party_id"] for row in csv.DictReader((DEMO_TERMS / "parties.csv").open())]
    assert [party for party in parties if party not in run.stdout] == []
    assert str(home / "published" / "settlement.duckdb") in run.stdout
    assert "DUPLICATE" in run.stdout and "MISSING_THEIRS" in run.stdout


def test_a_second_run_loads_books_and_changes_nothing_and_says_so(demo, tmp_path):
    home = tmp_path / "home"
    copy_home(demo[0], home)
    before = (home / "published" / "settlement.duckdb").resolve().stat()
    postings = warehouse(home, "select count(*), sum(debit_amount) from ledger.postings")
    run = tollgate(home, "run")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Nothing new landed" in run.stdout and "no table changed" in run.stdout
    after = (home / "published" / "settlement.duckdb").resolve().stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert warehouse(home, "select count(*), sum(debit_amount) from ledger.postings") == postings


def test_the_books_balance_and_hold_what_the_statements_say(demo):
    assert (
        published(
            demo[0],
            """select currency, sum(debit_amount) - sum(credit_amount) from settle.fct_settlement_ledger
        group by currency having sum(debit_amount) != sum(credit_amount)""",
        )
        == []
    )
    [(booked, charged)] = published(
        demo[0],
        """select (select sum(credit_amount - debit_amount) from settle.fct_settlement_ledger
                where account = 'partner_revenue' and currency = 'USD'),
            (select sum(charge_amount) from settle.fct_partner_statements where statement_currency = 'USD')""",
    )
    assert booked == charged > 0


def test_a_corrupted_mart_holds_the_publication_back_and_names_the_money(demo, tmp_path):
    home = tmp_path / "home"
    copy_home(demo[0], home)
    before = (home / "published" / "manifest.json").read_text()
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        connection.execute(
            "update settle.fct_carrier_settlements set payable_amount = -1 where carrier_id = 'nordlink'"
        )
    run = tollgate(home, "publish")
    assert run.returncode == 1
    assert 'settle.fct_carrier_settlements: "nothing negative is paid" failed on 1 of' in run.stdout
    assert "money at risk" in run.stdout and "EUR" in run.stdout
    assert "Nothing was published" in run.stdout
    assert (home / "published" / "manifest.json").read_text() == before
    assert published(home, "select min(payable_amount) >= 0 from settle.fct_carrier_settlements") == [(True,)]


def test_what_a_run_left_that_was_killed_while_it_built_is_neither_published_nor_closed(demo, tmp_path):
    """A payment landed, and the table that says so was made again, but not the one that says what is still open."""
    home = tmp_path / "home"
    copy_home(demo[0], home)
    before = (home / "published" / "manifest.json").read_text()
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        builds.begin(connection)
        connection.execute("update settle.fct_landed_files set loaded_at = loaded_at + interval 1 day")
    for command in (["publish"], ["close-period", "2026-09", "--accept", "a test"]):
        refusal = tollgate(home, *command)
        assert (refusal.returncode, refusal.stdout) == (1, "")
        assert refusal.stderr == f"tollgate: {builds.NOT_WHOLE}\n" and "tollgate run" in builds.NOT_WHOLE
    assert (home / "published" / "manifest.json").read_text() == before
    assert warehouse(home, "from ledger.closings") == []


def test_a_month_without_an_invoice_is_told_in_a_sentence_and_not_in_empty_tables(demo, tmp_path):
    copy_home(demo[0], tmp_path / "home")
    home = Home(tmp_path / "home")
    file = (home.published / "settlement.duckdb").resolve()
    file.chmod(0o644)
    with duckdb.connect(str(file)) as connection:
        for mart in (
            "carrier_settlements",
            "variance_components",
            "accruals",
            "partner_statements",
            "carrier_policies",
        ):
            connection.execute(f"delete from settle.fct_{mart}")
    said = io.StringIO()
    summary.print_settlement(home, Console(file=said, width=120), summary.News(0, 0, 0, 0))
    assert "No carrier's invoice has come yet" in said.getvalue()
    assert not re.search("^(Carriers|Variance by cause|Partners)$", said.getvalue(), re.MULTILINE)


# --- a hostile month ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A small landing by hand with everything that goes wrong, and terms of which some cannot be applied."""
    folder = tmp_path_factory.mktemp("hostile")
    home, terms = folder / "home", folder / "terms"
    shutil.copytree(DEMO_TERMS, terms)
    for name in OPTIONAL_FILES:
        (terms / name).unlink()
    with (terms / "agreements.csv").open("a") as file:
        # Overlaps textwave-2025, so neither may rate; and a zone that does not exist, on a party nobody uses here.
        file.write("textwave-2026,textwave,carrier,2026-01-01,,EUR,UTC,half_up,,2,0,14,,\n")
        file.write("sakura-2030,sakura-tel,carrier,2030-01-01,,JPY,Asia/Edo,half_up,,0,0,14,,\n")
    landing = home / "landing"
    usage = USAGE_HEADER + "\n"
    rows = [
        "e1,voice,outbound,bluebird-eu,ponte-wholesale,33123,4915112345678,2026-10-05T10:00:00Z,answered,61,second,2026-10-05T10:02:00Z",
        "e1,voice,outbound,bluebird-eu,ponte-wholesale,33123,4915112345678,2026-10-05T10:00:00Z,answered,61,second,2026-10-05T10:02:00Z",
        "e2,voice,outbound,bluebird-eu,nobody-telecom,33123,4915112345678,2026-10-05T11:00:00Z,answered,30,second,2026-10-05T11:02:00Z",
        "e3,sms,outbound,bluebird-eu,textwave,33123,4915112345678,2026-10-05T12:00:00Z,delivered,1,segment,2026-10-05T12:02:00Z",
        "e4,voice,outbound,bluebird-eu,ponte-wholesale,33123,4915112345678,yesterday,answered,30,second,2026-10-05T11:02:00Z",
        "e5,voice,outbound,bluebird-eu",
    ]
    files = {
        "usage/native/good.csv": usage + "\n".join(rows) + "\n",
        "usage/native/empty.csv": "",
        "usage/native/other_header.csv": "event_id,service\nx,voice\n",
        "usage/native/notes.txt": "not a feed",
        "rate_decks/az_decimal_comma/ponte-wholesale_2026-10-01.csv": (
            '"DESTINATION","PREFIX","RATE"\n"Germany",49,"0,0200"\n"Germany Mobile",4915,"0,1175"\n'
        ),
        "fx_rates/native/fx.csv": (
            "rate_date,base_currency,quote_currency,rate,source\n2026-10-01,EUR,USD,1.1,test\n2026-10-01,EUR,XXY,1,test\n"
        ),
    }
    for name, content in files.items():
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text(content)
    return home, tollgate(home, "run", terms=terms)


def test_the_good_rows_of_a_hostile_month_settle(hostile):
    home, run = hostile
    # One event in three can be rated here, so the gate holds the month back; the warehouse has what could be settled.
    assert run.returncode == 1 and "fewer than one event in twenty is unrated" in run.stdout
    assert warehouse(
        home,
        """select event_id, cast(billed_quantity as integer), rated_cost_amount
        from rate.int_events_rated where rating_status = 'rated'""",
    ) == [("native:e1", 61, Decimal("0.11946"))]  # 0.1175 x 61 / 60, five decimals per event
    assert warehouse(
        home, "select sum(charge_amount) from settle.fct_partner_statement_lines where service = 'voice'"
    ) == [
        (Decimal("0.47"),)  # 91 s of two calls at 0.31 a minute
    ]


def test_each_bad_thing_of_a_hostile_month_is_told_with_its_reason(hostile):
    home, run = hostile
    for said in (
        "file not loaded: usage/native/empty.csv: the file is empty",
        "other_header.csv",
        "left alone: usage/native/notes.txt",
        "1 row quarantined: usage/native, wrong_column_count",
        "1 row refused: usage/native, started_at_unreadable (first: good.csv record",
        "1 row refused: fx_rates/native, currency_unknown",
        "term refused: agreements, textwave-2025: terms_overlap",
        "term refused: agreements, textwave-2026: terms_overlap",
        "term refused: agreements, sakura-2030: time_zone_unknown",
    ):
        assert said in run.stdout, f"{said!r} is not in:\n{run.stdout}\n{run.stderr}"
    assert warehouse(
        home, "select event_id, unrated_reason from rate.int_events_rated where rating_status = 'unrated' order by 1"
    ) == [("native:e2", "unknown_carrier"), ("native:e3", "agreement_refused")]


def test_a_run_never_writes_into_the_folder_of_terms(hostile):
    terms = hostile[0].parent / "terms"
    changed = [
        file.name
        for file in DEMO_TERMS.glob("*.csv")
        if file.name not in {"agreements.csv", *OPTIONAL_FILES}
        and file.read_bytes() != (terms / file.name).read_bytes()
    ]
    assert changed == [] and not any((terms / name).exists() for name in OPTIONAL_FILES)
    assert (terms / "agreements.csv").read_text().startswith((DEMO_TERMS / "agreements.csv").read_text())


def test_terms_without_a_file_or_a_column_are_refused_with_its_name(tmp_path):
    terms = tmp_path / "terms"
    shutil.copytree(DEMO_TERMS, terms)
    (tmp_path / "home" / "landing" / "usage").mkdir(parents=True)
    (tmp_path / "home" / "landing" / "usage" / "x.csv").write_text("x")
    (terms / "plans.csv").write_text("plan_id,partner_id\n")
    run = tollgate(tmp_path / "home", "run", terms=terms)
    assert run.returncode == 2 and "plans.csv lacks the columns service" in run.stderr
    (terms / "plans.csv").unlink()
    run = tollgate(tmp_path / "home", "run", terms=terms)
    assert run.returncode == 2 and "plans.csv is missing" in run.stderr


def test_quarantine_says_where_no_text_is_kept_and_what_a_replay_left(tmp_path):
    """Vonage's reports have a column that is dropped, so nothing is kept of a line that cannot be taken apart."""
    home = tmp_path / "home"
    files = {
        "fx_rates/native/fx.csv": "rate_date,base_currency,quote_currency,rate,source\n2026-10-01,EUR\n\n2026\n",
        "usage/vonage_sms/sms.csv": (
            "account_id,message_id,direction,from,to,date_received,currency,total_price,message_body\na,secret\n"
        ),
    }
    (home / "warehouse").mkdir(parents=True)
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        for name, content in files.items():
            (home / "landing" / name).parent.mkdir(parents=True)
            (home / "landing" / name).write_text(content)
            (feed,) = [feed for feed in feeds.declared() if f"{feed.kind}/{feed.feed}" == name.rpartition("/")[0]]
            load_feed(connection, feed, home / "landing")
    listed = tollgate(home, "quarantine").stdout
    assert "2 columns, expected 9\n    (text not kept)\n" in listed and "secret" not in listed
    assert "1 column, expected 5\n    2026\n" in listed and listed.endswith("3 rows in quarantine\n")
    replayed = tollgate(home, "quarantine", "--replay").stdout.splitlines()
    assert replayed == [
        "  fx_rates/native/fx.csv: 0 loaded, 2 stay",
        "  usage/vonage_sms/sms.csv: 0 loaded, 1 stays",
        "0 records moved to their tables; 3 stay in quarantine",
    ]


@pytest.mark.parametrize("said", ["abc", "-1", "nan", "inf"])
def test_a_time_to_watch_files_that_is_none_stops_the_run_before_it_begins(tmp_path, said):
    run = tollgate(tmp_path / "home", "run", TOLLGATE_QUIET_SECONDS=said)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        f"tollgate: TOLLGATE_QUIET_SECONDS is {said!r}, no number of seconds: set it to 2, or unset it\n"
    )
    assert not (tmp_path / "home").exists()


def test_an_empty_landing_with_own_terms_is_explained_and_no_demo_is_written(tmp_path):
    run = tollgate(tmp_path / "home", "run", terms=DEMO_TERMS)
    assert run.returncode == 2
    assert "holds no files" in run.stderr and "docs/landing.md" in run.stderr
    assert not (tmp_path / "home" / "landing").exists()


# --- a real deck ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL_DECK.exists(), reason="the real A-Z deck is not beside this checkout")
def test_a_real_az_deck_with_decimal_commas_rates_calls_by_its_longest_code(tmp_path):
    home = tmp_path / "home"
    deck = home / "landing/rate_decks/az_decimal_comma/ponte-wholesale_2026-10-01.csv"
    deck.parent.mkdir(parents=True)
    shutil.copy(REAL_DECK, deck)
    with REAL_DECK.open(encoding="utf-8") as file:
        rates = {row["PREFIX"]: Decimal(row["RATE"].replace(",", ".")) for row in csv.DictReader(file)}
    numbers = [code + "0123456789"[: 14 - len(code)] for code in list(rates)[::37]]
    usage = home / "landing/usage/native/calls.csv"
    usage.parent.mkdir(parents=True)
    usage.write_text(
        "\n".join(
            [USAGE_HEADER]
            + [
                f"{i},voice,outbound,bluebird-eu,ponte-wholesale,39,+{number},2026-10-05T10:00:00Z,answered,60,second,2026-10-05T11:00:00Z"
                for i, number in enumerate(numbers)
            ]
        )
        + "\n"
    )
    run = tollgate(home, "run", terms=DEMO_TERMS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert warehouse(home, "select loaded_count from ingest.files where feed = 'az_decimal_comma'") == [(11_894,)]
    rated = dict(
        warehouse(
            home,
            "select destination, rated_cost_amount from rate.int_events_rated "
            "inner join stage.int_events_deduplicated using (event_id) where rating_status = 'rated'",
        )
    )

    def longest(number: str) -> Decimal:
        return next(rates[number[:n]] for n in range(len(number), 0, -1) if number[:n] in rates)

    assert len(numbers) > 300
    assert rated == {number: longest(number) for number in numbers}
