"""Usage reports that vendors let one download (Vonage, Bandwidth, Amazon SNS, RealWorld): from file to staging.

Belongs here: the vendors' own samples, and the files that show what the samples are too thin for. Does not belong
here: rules that a few rows show (models/stage/usage/_usage__reports__unit_tests.yml).
"""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conftest import REAL_FILES, needs_real_files

from orchestration import feeds

FORMATS = REAL_FILES / "formats"
SAMPLES = {
    "vonage_sms/outbound.csv": FORMATS / "vonage_csv_sms_outbound_specexample.csv",
    "vonage_sms/inbound.csv": FORMATS / "vonage_csv_sms_inbound_specexample.csv",
    "vonage_voice/calls.csv": FORMATS / "vonage_csv_voice_specexample.csv",
    "aws_sns/111122223333_us-east-1_2016-05-10_001.csv": FORMATS / "aws_sns_sms_daily_usage_report.csv",
    "realworld_au/2019-02.csv": REAL_FILES / "usage" / "realworld_au_wholesale_cdr_ddmmyyyy.csv",
}
BANDWIDTH_FIELDS = FORMATS / "bandwidth_bdr_voice_doc_fields.tsv"
BANDWIDTH_SAMPLE = "bandwidth_bdr/statement.csv"
FEEDS = ["vonage_sms", "vonage_voice", "bandwidth_bdr", "aws_sns", "realworld_au"]

pytestmark = needs_real_files


def bandwidth_sample() -> str:
    """The examples of Bandwidth's field table: one call of each type, and one with its number as printed."""
    with BANDWIDTH_FIELDS.open(newline="") as table:
        examples = {row["field"]: row["example"] for row in csv.DictReader(table, delimiter="\t")}
    types = examples["CallType"].split(" | ")
    calls = [examples | {"CallType": call_type, "BdrID": str(number)} for number, call_type in enumerate(types)]
    for call in calls:
        call["CallSource"] = "12065550143"
        call["CallDestination"] = "3035550119"
    rows = [*calls, examples | {"CallType": "INTERSTATE", "BdrID": "as printed"}]
    return "\n".join(",".join(row) for row in [examples.keys(), *(row.values() for row in rows)]) + "\n"


def records(text: str) -> int:
    """Lines that are neither blank nor the header, counted without the loader."""
    return len([line for line in text.splitlines() if line.strip()]) - 1


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("reports") / "landing"
    for name, sample in SAMPLES.items():
        place(landing, name, sample.read_bytes())
    place(landing, BANDWIDTH_SAMPLE, bandwidth_sample().encode())
    place(landing, "vonage_voice/report.zip", zipped({"report_1.csv": MORE_CALLS, "report_2.csv": LATER_CALLS}))
    place(landing, "vonage_sms/more.csv", MORE_MESSAGES.encode())
    place(landing, "aws_sns/111122223333_us-east-1_2026-10-01_001.csv", MORE_PARTS.encode())
    place(landing, "aws_sns/001.csv", MORE_PARTS.replace("p1", "p2").encode())
    return landing


def place(landing: Path, name: str, content: bytes) -> None:
    path = landing / "usage" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def zipped(files: dict[str, str]) -> bytes:
    """What the Reports API hands out: the CSVs of one report in a zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


# A carriage return before each line end, as Vonage writes; a body is not kept.
MORE_CALLS = (
    "account_id,call_id,direction,from,to,network,network_name,country,country_name,date_start,date_end,duration,status,"
    "status_description,currency,price,total_price\r\n"
    "k1,c1,outbound,447700900123,33612345678,20801,Orange,FR,France,2026-10-01T00:00:00+0000,2026-10-01T00:01:05+0000,"
    "60,completed,,EUR,0.01460000,0.01460000\r\n"
    "k1,c2,outbound,447700900123,33612345678,20801,Orange,FR,France,2026-10-01T00:00:00+0000,,,ringing,,,,\r\n"
)
LATER_CALLS = MORE_CALLS.splitlines(keepends=True)[0] + (
    "k1,c2,outbound,447700900123,33612345678,20801,Orange,FR,France,2026-10-01T00:00:00+0000,2026-10-01T00:00:30+0000,"
    ",timeout,,,,0\r\n"
)
MORE_MESSAGES = (
    "account_id,message_id,direction,from,to,message_body,network,network_name,country,country_name,date_received,"
    "currency,total_price\r\n"
    'k1,in1,inbound,33612345678,447700900123,"Yes, please",20801,Orange,FR,France,2026-10-01T00:00:00+0000,EUR,0\r\n'
)
MORE_PARTS = (
    "PublishTimeUTC,MessageId,DestinationPhoneNumber,MessageType,DeliveryStatus,PriceInUSD,PartNumber,TotalParts\n"
    "2026-10-01T03:00:29.476Z,p1,14255550156,Promotional,Message has been accepted by phone carrier,0.00645,0,2\n"
    "2026-10-01T03:00:29.476Z,p1,14255550156,Promotional,Message has been accepted by phone carrier,0.00645,0,2\n"
    "2026-10-01T03:00:30.000Z,p1,14255550157,Promotional,Phone carrier has blocked this message,0.00645,1,1\n"
)


@pytest.fixture(scope="module")
def rows(landed: Path, staged: Callable[[Path], Path]) -> Callable[[str], list[tuple]]:
    """A function that asks the warehouse in which everything landed is staged."""
    warehouse = staged(landed)

    def ask(query: str) -> list[tuple]:
        with duckdb.connect(str(warehouse)) as connection:
            return connection.execute(query).fetchall()

    return ask


@pytest.mark.parametrize("name", [*SAMPLES, BANDWIDTH_SAMPLE])
def test_each_row_of_a_sample_is_loaded_or_in_quarantine(landed: Path, rows, name: str):
    feed, _, file_name = name.partition("/")
    expected = records((landed / "usage" / name).read_text())
    found = rows(f"""
        select outcome, record_count, loaded_count + quarantined_count, quarantined_count
        from ingest.files where feed = '{feed}' and file_name = '{file_name}'
    """)
    assert found == [("loaded", expected, expected, 0)]


@pytest.mark.parametrize("name", [*SAMPLES, BANDWIDTH_SAMPLE])
def test_each_column_of_a_sample_is_declared(landed: Path, name: str):
    (feed,) = [feed for feed in feeds.declared() if name.startswith(f"{feed.feed}/")]
    header = (landed / "usage" / name).read_text().splitlines()[0].split(",")
    known = {*(column.source_name for column in feed.columns), *feed.extra, *feed.dropped}
    assert set(header) <= known


@pytest.mark.parametrize("feed", FEEDS)
def test_each_loaded_row_is_staged_once(rows, feed: str):
    loaded = rows(f"select sum(loaded_count) from ingest.files where feed = '{feed}'")
    assert rows(f"select count(*) from stage.stg_usage__{feed}") == loaded
    assert rows(f"select count(*) from stage.int_events_collected where feed = '{feed}'") == loaded


def test_the_vonage_message_of_the_specification(rows):
    (sent,) = rows("""
        select
            source_event_id, direction, account_id, carrier_id, origin, destination, event_status, quantity,
            quantity_unit, vendor_amount, vendor_currency, started_at, received_at, refusal_reason
        from stage.stg_usage__vonage_sms where file_id in (
            select file_id from ingest.files where file_name = 'outbound.csv'
        )
    """)
    assert sent == (
        *("0000000A", "outbound", "abcdef01", "vonage", "441234567890", "441234567890", "delivered"),
        *(Decimal("1.000"), "segment", Decimal("0.04200000"), "EUR"),
        *(datetime(2019, 6, 28, 15, 30), datetime(2019, 6, 28, 15, 30), None),
    )


def test_an_inbound_report_that_calls_itself_outbound_is_refused_a_true_one_is_not(rows):
    """The specification's example of the inbound report says `outbound`, and it has no status."""
    assert rows("""
        select file_name, direction, event_status, refusal_reason
        from stage.stg_usage__vonage_sms inner join ingest.files using (file_id)
        where file_name != 'outbound.csv' order by file_name
    """) == [("inbound.csv", "outbound", None, "status_unknown"), ("more.csv", "inbound", "delivered", None)]


def test_what_customers_wrote_is_not_kept(rows):
    (kept,) = rows("select string_agg(_extra_columns, ' ') from ingest.usage__vonage_sms")
    assert "Orange" in kept[0]
    assert "This is a text message" not in kept[0]
    assert "Yes, please" not in kept[0]


def test_the_vonage_call_of_the_specification_is_provisional_and_a_completed_one_is_final(rows):
    assert rows("""
        select
            source_event_id, event_status, quantity, vendor_amount, vendor_currency, started_at, received_at,
            refusal_reason
        from stage.stg_usage__vonage_voice order by source_event_id, received_at
    """) == [
        (
            *("aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "pending", Decimal("42.000"), Decimal("0.04200000"), "EUR"),
            *(datetime(2019, 6, 28, 15, 30), datetime(2019, 6, 28, 15, 30), None),
        ),
        (
            *("c1", "answered", Decimal("60.000"), Decimal("0.01460000"), "EUR"),
            *(datetime(2026, 10, 1), datetime(2026, 10, 1, 0, 1, 5), None),
        ),
        ("c2", "pending", Decimal("0.000"), None, "EUR", datetime(2026, 10, 1), datetime(2026, 10, 1), None),
        (
            *("c2", "no_answer", Decimal("0.000"), Decimal("0.00000000"), "EUR"),
            *(datetime(2026, 10, 1), datetime(2026, 10, 1, 0, 0, 30), None),
        ),
    ]


def test_the_examples_of_bandwidths_field_table(rows):
    found = rows("""
        select
            direction, origin, destination, quantity, vendor_amount, vendor_currency, started_at, received_at,
            account_id, refusal_reason
        from stage.stg_usage__bandwidth_bdr order by record_number
    """)
    common = (
        *(Decimal("198.000"), Decimal("0.05175000"), "USD"),
        *(datetime(2015, 9, 12, 10, 3, 5), datetime(2015, 10, 19, 21, 12, 46), "1234567"),
    )
    assert found == [
        ("inbound", "12065550143", "13035550119", *common, None),
        ("outbound", "12065550143", "13035550119", *common, None),
        ("outbound", "12065550143", "13035550119", *common, None),
        ("outbound", "1NPANXXXXXX", "NPANXXXXXX", *common, "destination_unreadable"),
    ]


def test_the_masked_numbers_of_the_sns_sample_are_refused_with_their_price_at_risk(rows):
    assert rows("""
        select account_id, destination, event_status, vendor_amount, vendor_currency, started_at, refusal_reason
        from stage.stg_usage__aws_sns where started_at < timestamp '2017-01-01' order by record_number
    """) == [
        ("111122223333", "1XXX5550100", "delivered", Decimal(price), "USD", started_at, "destination_unreadable")
        for price, started_at in [
            ("0.90084000", datetime(2016, 5, 10, 3, 0, 29, 476000)),
            ("0.34322000", datetime(2016, 5, 10, 3, 0, 29, 561000)),
            ("0.27815000", datetime(2016, 5, 10, 3, 0, 30, 769000)),
        ]
    ]
    assert rows("""
        select sum(at_risk_amount) from stage.int_rows_refused where feed = 'aws_sns' and at_risk_currency = 'USD'
    """) == [(Decimal("1.52221000"),)]


def test_the_parts_of_an_sns_message_are_counted_and_paid_each(rows):
    assert rows("""
        select destination, event_status, count(*), sum(quantity), sum(vendor_amount)
        from stage.int_events_deduplicated where feed = 'aws_sns' group by all order by destination
    """) == [
        ("14255550156", "delivered", 2, Decimal("2.000"), Decimal("0.01290000")),
        ("14255550157", "undelivered", 1, Decimal("1.000"), Decimal("0.00645000")),
    ]


def test_an_sns_report_whose_name_lacks_the_account_fails_with_advice(rows):
    ((outcome, message),) = rows("select outcome, message from ingest.files where file_name = '001.csv'")
    assert outcome == "failed"
    assert "Rename the file" in message


def test_realworlds_masked_destinations_are_refused_and_its_clock_is_sydneys(rows):
    """Eleven hours ahead of UTC in February."""
    assert rows("""
        select
            origin, destination, account_id, event_status, quantity, vendor_amount, vendor_currency, started_at,
            refusal_reason
        from stage.stg_usage__realworld_au order by record_number
    """) == [
        (*numbers, "trunkidentifier", "answered", Decimal(seconds), Decimal(cost), "AUD", at, "destination_unreadable")
        for numbers, seconds, cost, at in [
            (("Anonymous", "6128458XXXX"), "4.000", "0.00000000", datetime(2019, 2, 1, 8, 3, 57)),
            (("61297XXXXXX", "6113007XXXX"), "142.000", "0.25000000", datetime(2019, 2, 1, 6, 57, 40)),
            (("61298XXXXXX", "6141066XXXX"), "144.000", "0.17000000", datetime(2019, 2, 1, 6, 49, 34)),
        ]
    ]
