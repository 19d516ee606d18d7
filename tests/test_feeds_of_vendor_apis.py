"""Feeds of vendors' APIs on the vendors' own examples: every record arrives, and means what the vendor says.

Belongs here: JSON pages, batches and events as their vendors publish them. Does not belong here: traps that no
example shows (models/stage/usage/_usage__apis__unit_tests.yml), how JSON is read (test_ingest.py).
"""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conftest import REAL_FILES, needs_real_files

from orchestration import feeds

FORMATS = REAL_FILES / "formats"
TWILIO_PAGES = {
    "usage/twilio_calls": ["ListCall.readFullPage1"],
    "usage/twilio_messages": ["ListMessage.readFullPage1"],
    "usage_summaries/twilio_usage_records": [
        "ListUsageRecord.readFull",
        "ListUsageRecordAllTime.readFull",
        "ListUsageRecordDaily.readFull",
        "ListUsageRecordMonthly.readFull",
    ],
}
TWILIO_FETCHED = {"usage/twilio_calls": "FetchCall.fetch", "usage/twilio_messages": "FetchMessage.fetch"}
COPIED = {
    "usage/plivo_messages/page.json": "plivo_messageListResponse.json",
    "usage/microsoft_pstn/page.json": "ms_graph_pstn_call_log_row.json",
    "usage/sendgrid/acme-mail_2017-12-15.json": "sendgrid_event_webhook_batch.json",
    "usage/aws_end_user_messaging/event.json": "aws_end_user_messaging_sms_event.json",
}
TELNYX_VALUES = {
    "uuid": "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
    "record_type": "messaging",
    "message_type": "SMS",
    "direction": "outbound",
    "user_id": "7865816a-ee85-4e50-b19e-52983dcc6d4a",
    "cli": "+13125550100",
    "cld": "+12025550101",
    "status": "delivered",
    "parts": 2,
    "rate": "0.00400",
    "cost": "0.00800",
    "carrier_fee": "0.00600",
    "currency": "USD",
    "created_at": "2026-10-01T02:00:00.123Z",
    "sent_at": "2026-10-01T02:00:01.456Z",
    "completed_at": "2026-10-01T02:00:07Z",
    "updated_at": "2026-10-01T02:00:08Z",
    "delivery_status": "failed",  # of the webhook
    "errors": ["40008"],
    "fteu": False,
}

pytestmark = needs_real_files


def example(name: str) -> object:
    return json.loads((FORMATS / name).read_text(encoding="utf-8"))


def fields(table: str, record: str) -> list[str]:
    """Names of a record's fields, from one of the tables of fields."""
    with (FORMATS / table).open(encoding="utf-8", newline="") as file:
        return [row["field"] for row in csv.DictReader(file, delimiter="\t") if record in row.values()]


def records_of(path: Path) -> list[dict]:
    """What a person would call the records of the file: its one list of objects, else its one object."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        return lists[0] if lists else [document]
    return document


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per feed, each with the vendor's example as the vendor's API answers."""
    landing = tmp_path_factory.mktemp("apis") / "landing"

    def drop(name: str, document: object) -> None:
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1 if path.suffix == ".json" else None), encoding="utf-8")

    twilio = example("twilio_api_v2010_calls_messages_usage_examples.json")
    for folder, pages in TWILIO_PAGES.items():
        for page in pages:
            drop(f"{folder}/{page}.json", twilio[page])
    for folder, fetched in TWILIO_FETCHED.items():
        drop(f"{folder}/{fetched}.jsonl", twilio[fetched])
    drop("usage/plivo_calls/page.json", {"api_id": "1", "objects": [example("plivo_callGetResponse.json")]})
    drop("usage/plivo_calls/fetched.jsonl", example("plivo_callGetResponse.json"))
    drop("usage/plivo_calls/fetched.json", example("plivo_callGetResponse.json"))
    telnyx = dict.fromkeys(fields("telnyx_fields.tsv", "MessageDetailRecord")) | TELNYX_VALUES
    drop("usage/telnyx_messages/page.json", {"data": [telnyx], "meta": {"total_pages": 1}})
    for name, original in COPIED.items():
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FORMATS / original, landing / name)
    return landing


@pytest.fixture(scope="module")
def rows(landing: Path, staged: Callable[[Path], Path]) -> Callable[[str], list[tuple]]:
    warehouse = staged(landing)

    def query(sql: str) -> list[tuple]:
        with duckdb.connect(str(warehouse)) as connection:
            return connection.execute(sql).fetchall()

    return query


def test_each_record_of_each_file_is_loaded_and_nothing_else_is(landing, rows):
    found = {
        f"{kind}/{feed}/{name}": (outcome, count, loaded)
        for kind, feed, name, outcome, count, loaded in rows(
            "select kind, feed, file_name, outcome, record_count, loaded_count from ingest.files"
        )
    }
    expected = {}
    for path in sorted(landing.glob("*/*/*")):
        count = 1 if path.suffix == ".jsonl" else len(records_of(path))
        expected[str(path.relative_to(landing))] = ("loaded", count, count)
    # A fetched call is no page: it is told, not taken for a page without calls.
    expected["usage/plivo_calls/fetched.json"] = ("failed", None, 0)
    assert found == expected
    assert sum(count for _, count, _ in expected.values() if count) == 40


@pytest.mark.parametrize(
    ("feed", "table", "record"),
    [
        ("usage__telnyx_messages", "telnyx_fields.tsv", "MessageDetailRecord"),
        ("usage__twilio_calls", "twilio_fields.tsv", "api.v2010.account.call"),
        ("usage__twilio_messages", "twilio_fields.tsv", "api.v2010.account.message"),
        ("usage_summaries__twilio_usage_records", "twilio_fields.tsv", "api.v2010.account.usage.usage_record"),
    ],
)
def test_every_field_of_the_vendors_table_is_declared(feed, table, record):
    (declared,) = [found for found in feeds.declared() if found.name == feed]
    named = {column.source_name for column in declared.columns} | {*declared.extra, *declared.dropped}
    assert len(fields(table, record)) > 14
    assert set(fields(table, record)) <= named


def test_no_field_of_the_vendors_examples_is_news(rows):
    assert rows("select file_name, new_columns from ingest.files where new_columns is not null") == []


def test_twilios_negative_price_is_a_cost_whatever_its_file_looks_like(rows):
    calls = rows(
        """
        select source_event_id[-2:], direction, event_status, quantity, vendor_amount, vendor_currency, started_at,
            received_at, refusal_reason
        from stage.stg_usage__twilio_calls order by source_event_id, file_id
        """
    )
    outbound = (
        *("aa", "outbound", "answered", Decimal("4.000"), Decimal("0.20000000"), "USD"),
        *(datetime(2019, 10, 18, 17, 2), datetime(2019, 10, 18, 17, 1), None),
    )
    inbound = (
        *("a0", "inbound", "answered", Decimal("3.000"), Decimal("0.10000000"), "JPY"),
        *(datetime(2019, 10, 18, 16, 2), datetime(2019, 10, 18, 16, 1), None),
    )
    assert sorted(calls) == sorted([outbound, outbound, inbound])
    messages = rows(
        """
        select source_event_id[:2], direction, event_status, quantity, vendor_amount, started_at, refusal_reason
        from stage.stg_usage__twilio_messages order by started_at
        """
    )
    segment, price = Decimal("1.000"), Decimal("0.00750000")
    assert messages == [
        ("SM", "outbound", "unknown", segment, price, datetime(2019, 5, 24, 17, 18, 28), None),
        ("MM", "inbound", "delivered", segment, price, datetime(2019, 5, 24, 17, 44, 49), None),
        ("SM", "outbound", "unknown", segment, price, datetime(2019, 5, 24, 17, 44, 50), None),
    ]


def test_a_call_on_a_page_and_fetched_by_itself_is_one_call(rows):
    counted = rows(
        """
        select feed, record_count, is_restated from stage.int_events_deduplicated
        where feed in ('twilio_calls', 'plivo_calls') order by all
        """
    )
    assert counted == [("plivo_calls", 2, False), ("twilio_calls", 1, False), ("twilio_calls", 2, False)]


def test_what_customers_wrote_and_what_callers_are_called_is_not_kept(rows):
    for table, private in [
        ("usage__twilio_messages", "look mom"),
        ("usage__microsoft_pstn", "Richard Malk"),
    ]:
        (kept,) = rows(f"select string_agg(to_json(raw)::varchar, '') from ingest.{table} as raw")
        assert kept[0]
        assert private not in kept[0]


def test_a_telnyx_message_costs_its_parts_and_the_carriers_fee(rows):
    assert rows(
        """
        select account_id, origin, destination, event_status, quantity, vendor_amount, vendor_currency, started_at,
            received_at, refusal_reason
        from stage.stg_usage__telnyx_messages
        """
    ) == [
        (
            *("7865816a-ee85-4e50-b19e-52983dcc6d4a", "13125550100", "12025550101", "delivered"),
            *(Decimal("2.000"), Decimal("0.01400000"), "USD"),
            *(datetime(2026, 10, 1, 2, 0, 1, 456000), datetime(2026, 10, 1, 2, 0, 8), None),
        )
    ]


def test_plivos_times_are_in_the_accounts_zone_and_its_numbers_with_or_without_a_plus(rows):
    assert rows(
        """
        select distinct account_id, origin, destination, event_status, quantity, vendor_amount, started_at,
            received_at, refusal_reason
        from stage.stg_usage__plivo_calls
        """
    ) == [
        (
            *("MAJHUDTEYWLSIUYTDBCZ", "919879879876", "919999999999", "no_answer"),
            *(Decimal("0.000"), Decimal("0E-8")),
            *(datetime(2017, 5, 22, 12, 19, 30), datetime(2017, 5, 22, 12, 19, 40), None),
        )
    ]


def test_plivos_messages_are_as_many_as_sent_and_delivered_and_cost_what_they_cost(rows):
    messages = example("plivo_messageListResponse.json")["objects"]
    states = Counter({"sent": "unknown"}.get(one["message_state"], one["message_state"]) for one in messages)
    assert dict(rows("select event_status, count(*) from stage.stg_usage__plivo_messages group by all")) == states
    assert states == {"unknown": 12, "delivered": 8}
    assert rows(
        """
        select sum(quantity), sum(vendor_amount), count(distinct source_event_id), count(refusal_reason),
            max(started_at), min(received_at)
        from stage.stg_usage__plivo_messages
        """
    ) == [
        (
            *(Decimal("20.000"), sum(Decimal(one["total_amount"]) for one in messages), 20, 0),
            *(datetime(2017, 5, 22, 16, 6, 14), datetime(2024, 8, 21, 12, 58, 51, 947720)),
        )
    ]


def test_a_microsoft_call_is_known_by_its_row_and_keeps_its_microseconds(rows):
    assert rows(
        """
        select source_event_id, direction, account_id, origin, destination, event_status, quantity, vendor_amount,
            vendor_currency, started_at, received_at, refusal_reason
        from stage.stg_usage__microsoft_pstn
        """
    ) == [
        (
            *("9c4984c7-6c3c-427d-a30c-bd0b2eacee90", "inbound", "contoso.com", "0123456789", "1234567890"),
            *("answered", Decimal("219.000"), Decimal("0E-8"), "USD"),
            *(datetime(2019, 11, 1, 0, 0, 8, 258993), datetime(2019, 11, 1, 0, 3, 47, 258993), None),
        )
    ]


def test_sendgrids_events_are_three_emails(rows):
    assert rows(
        """
        select event_id, account_id, destination, event_status, record_count, quantity, started_at
        from stage.int_events_deduplicated where feed = 'sendgrid' order by all
        """
    ) == [
        (
            *("sendgrid:142d9f3f351.7618.254f56.filter-147.22649.52A663508.0 john.doe@sendgrid.com", "acme-mail"),
            *("sendgrid.com", "pending", 1, Decimal("1.000"), datetime(2013, 12, 10, 0, 41, 52)),
        ),
        (
            *("sendgrid:<4FB29F5D.5080404@sendgrid.com> not an email address", "acme-mail"),
            *(None, "rejected", 1, Decimal("1.000"), datetime(2013, 12, 10, 0, 41, 55)),
        ),
        (
            *("sendgrid:sg_message_id example@test.com", "acme-mail"),
            *("test.com", "delivered", 3, Decimal("1.000"), datetime(2017, 12, 15, 0, 59, 29)),
        ),
    ]


def test_an_sms_of_aws_is_priced_in_dollars_and_accounted_by_its_context(rows):
    assert rows(
        """
        select source_event_id, account_id, origin, destination, event_status, quantity, vendor_amount,
            vendor_currency, started_at, received_at, refusal_reason
        from stage.stg_usage__aws_end_user_messaging
        """
    ) == [
        (
            *("862a8790-60c0-4430-9b2b-658bdexample", "bar", "12065550152", "14255550156", "delivered"),
            *(Decimal("1.000"), Decimal("0.09582000"), "USD"),
            *(datetime(2023, 6, 17, 4, 11, 43, 170000), datetime(2023, 6, 17, 4, 11, 43, 470000), None),
        )
    ]


def test_twilios_usage_records_are_positive_and_the_same_one_fetched_thrice_counts_once(rows):
    assert rows(
        """
        select usage_category, usage_quantity, usage_count, vendor_amount, vendor_currency, is_subtotal,
            period_from_at, period_until_at, received_at, count(*) filter (where not is_superseded), count(*)
        from stage.stg_usage_summaries__twilio_usage_records
        where refusal_reason is null group by all order by all
        """
    ) == [
        (
            *("calleridlookups", Decimal("2192.84855000"), None, Decimal("2192.84855000"), "USD", False),
            *(datetime(2008, 1, 2), datetime(2008, 1, 3), datetime(2019, 6, 24, 22, 32, 49), 1, 1),
        ),
        (
            *("sms-inbound-shortcode", Decimal("0E-8"), 0, Decimal("0E-8"), "USD", False),
            *(datetime(2011, 8, 23), datetime(2015, 9, 5), datetime(2019, 6, 24, 22, 32, 49), 1, 3),
        ),
    ]
