"""The simulated month: its files keep the landing formats; its truth is what slow, plain arithmetic finds
in them.
"""

import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest

from orchestration import feeds
from orchestration.settings import PROJECT_DIR
from simulation import write_month
from simulation.terms import Month

EVENTS = 20_000
FEW_EVENTS = 3_000


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A month of 20,000 events: `landing/` and `truth.json`."""
    folder = tmp_path_factory.mktemp("month")
    write_month(folder / "landing", folder / "truth.json", events=EVENTS)
    return folder


@pytest.fixture(scope="module")
def truth(home: Path) -> dict:
    return json.loads((home / "truth.json").read_text(encoding="utf-8"))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, but for those with another number of columns than its header."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:] if len(line) == len(lines[0])]


def rows_of(home: Path, folder: str, pattern: str = "*.csv") -> list[dict[str, str]]:
    return [row for path in sorted((home / "landing" / folder).glob(pattern)) for row in read_rows(path)]


def raw_usage(home: Path) -> list[dict[str, str]]:
    """Readable rows of the native feed, the file that was sent twice counted once."""
    paths = sorted((home / "landing/usage/native").glob("*.csv.gz"))
    return [row for path in paths if "resent" not in path.name for row in read_rows(path)]


def twilio_objects(home: Path, feed: str) -> list[dict]:
    paths = sorted((home / "landing/usage" / feed).glob("*.jsonl.gz"))
    return [json.loads(line) for path in paths for line in gzip.open(path, "rt")]


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def true_events(home: Path) -> list[dict]:
    """Native events as they count: of two rows with one id the later one, rows without a readable start
    left out.
    """
    latest = {}
    for row in raw_usage(home):
        kept = latest.get(row["event_id"])
        if row["started_at"] != "yesterday" and (kept is None or row["received_at"] > kept["received_at"]):
            latest[row["event_id"]] = row
    return [row | {"started": instant(row["started_at"])} for row in latest.values()]


@pytest.fixture(scope="module")
def invoice_lines(home: Path) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Lines of each carrier's invoice, by carrier and version."""
    lines = defaultdict(list)
    for row in rows_of(home, "carrier_invoices/native"):
        lines[row["carrier_id"], row["invoice_version"]].append(row)
    return lines


def counting(invoice_lines: dict, carrier: str) -> list[dict[str, str]]:
    return invoice_lines[max(key for key in invoice_lines if key[0] == carrier)]


# --- the same arguments, any chunk size, either format


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """A month of 3,000 events."""
    folder = tmp_path_factory.mktemp("few")
    write_month(folder / "landing", folder / "truth.json", events=FEW_EVENTS)
    return folder


def test_the_same_arguments_write_the_same_bytes(few, tmp_path):
    write_month(tmp_path / "landing", tmp_path / "truth.json", events=FEW_EVENTS)
    assert contents(tmp_path) == contents(few)


def test_tiny_chunks_lose_and_repeat_nothing(tmp_path):
    write_month(tmp_path / "landing", tmp_path / "truth.json", events=FEW_EVENTS, chunk_rows=40)
    counts = json.loads((tmp_path / "truth.json").read_text())["events"]
    assert sum(feed["true_events"] for feed in counts["feeds"].values()) == FEW_EVENTS
    ids = {row["event_id"] for row in raw_usage(tmp_path) if row["started_at"] != "yesterday"}
    ids |= {call["sid"] for call in twilio_objects(tmp_path, "twilio_calls")}
    ids |= {message["sid"] for message in twilio_objects(tmp_path, "twilio_messages")}
    assert len(ids) == FEW_EVENTS


def test_parquet_holds_the_same_usage_and_leads_to_the_same_truth(few, tmp_path):
    write_month(tmp_path / "landing", tmp_path / "truth.json", events=FEW_EVENTS, usage_format="parquet")
    assert (tmp_path / "truth.json").read_bytes() == (few / "truth.json").read_bytes()
    table = pyarrow.parquet.read_table(tmp_path / "landing/usage/native/usage_2026-10-20.parquet")
    assert table.to_pylist() == read_rows(few / "landing/usage/native/usage_2026-10-20.csv.gz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"month": "October"}, "YYYY-MM"),
        ({"month": "2031-01"}, "no rate for 2031-01"),
        ({"month": "2024-03"}, "valid in this month"),
        ({"usage_format": "xlsx"}, "not one of csv.gz, parquet"),
        ({"events": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_reason(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        write_month(tmp_path / "landing", tmp_path / "truth.json", **arguments)


# --- the landing formats


def documented_columns(section: str) -> list[str]:
    """Names in the first column of a section's table in docs/landing.md, or of its first paragraph where it
    has no table.
    """
    text = (PROJECT_DIR / "docs/landing.md").read_text(encoding="utf-8").split(f"### `{section}`")[1]
    body = text.partition("\n")[2].split("\n#")[0]
    cells = [line.split("|")[1] for line in body.splitlines() if line.startswith("| `")]
    cells = cells or [body.strip().partition(". ")[0]]
    return list(dict.fromkeys(name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)))


@pytest.mark.parametrize(
    ("section", "pattern"),
    [
        ("usage/native", "*.csv.gz"),
        ("rate_decks/native", "*.csv"),
        ("carrier_invoices/native", "*.csv"),
        ("carrier_cdrs/native", "*.csv.gz"),
        ("credit_notes/native", "*.csv"),
        ("fx_rates/native", "*.csv"),
    ],
)
def test_every_native_file_has_the_documented_columns(home, section, pattern):
    paths = sorted((home / "landing" / section).glob(pattern))
    assert paths
    (feed,) = (feed for feed in feeds.declared() if feed.name == section.replace("/", "__"))
    optional = {column.source_name for column in feed.columns if column.rule == "optional"}
    for path in paths:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
            header = next(csv.reader(file))
        documented = documented_columns(section)
        assert len(header) == len(set(header)) and set(header) <= set(documented), path.name
        assert set(documented) - set(header) <= optional, path.name


def test_usage_speaks_the_documented_words(true_events):
    statuses = {
        "voice": {"answered", "no_answer", "busy", "failed", "cancelled"},
        "sms": {"delivered", "undelivered", "expired", "rejected", "unknown", "pending"},
        "email": {"delivered", "undelivered", "rejected", "unknown", "pending"},
    }
    units = {"voice": "second", "sms": "segment", "email": "message"}
    for event in true_events:
        assert event["status"] in statuses[event["service"]]
        assert event["quantity_unit"] == units[event["service"]]
        assert event["direction"] == "outbound"
        assert instant(event["received_at"]) >= event["started"]
        assert (int(event["quantity"]) > 0) == (event["status"] in statuses["sms"] | {"answered"})
        if event["service"] != "email":
            assert re.fullmatch(r"\+?[1-9]\d{7,14}", event["destination"])


def test_services_and_the_vendor_have_their_shares(home, true_events):
    calls = {call["sid"] for call in twilio_objects(home, "twilio_calls")}
    messages = {message["sid"] for message in twilio_objects(home, "twilio_messages")}
    voice = len(calls) + sum(event["service"] == "voice" for event in true_events)
    email = sum(event["service"] == "email" for event in true_events)
    assert voice / EVENTS == pytest.approx(0.45, abs=0.02)
    assert email / EVENTS == pytest.approx(0.20, abs=0.02)
    assert (len(calls) + len(messages)) / EVENTS == pytest.approx(0.08, abs=0.01)


def test_twilio_objects_carry_the_fields_of_the_real_ones(home):
    calls = twilio_objects(home, "twilio_calls")
    fields = {
        "account_sid", "answered_by", "api_version", "caller_name", "date_created", "date_updated",
        "direction", "end_time", "forwarded_from", "from", "from_formatted", "group_sid",
        "parent_call_sid", "phone_number_sid", "price", "price_unit", "sid", "start_time", "status",
        "subresource_uris", "to", "to_formatted", "trunk_sid", "uri", "queue_time",
    }  # fmt: skip
    assert {frozenset(call) - {"duration"} for call in calls} == {frozenset(fields)}
    assert {call["status"] for call in calls} == {"completed", "no-answer", "busy", "failed", "canceled"}
    assert {call["direction"] for call in calls} == {"outbound-api", "inbound"}
    assert {call.get("duration", "absent") for call in calls if call["status"] != "completed"} == {
        "",
        "absent",
    }
    for call in calls:
        assert re.fullmatch(r"CA[0-9a-f]{32}", call["sid"])
        start = datetime.strptime(call["start_time"], "%a, %d %b %Y %H:%M:%S +0000")
        end = datetime.strptime(call["end_time"], "%a, %d %b %Y %H:%M:%S +0000")
        assert (end - start).total_seconds() == int(call.get("duration") or 0)
        assert (call["price"] is not None) == (call["status"] == "completed")
        assert call["price"] is None or re.fullmatch(r"-\d+\.\d{5}", call["price"])
    messages = twilio_objects(home, "twilio_messages")
    assert {message["status"] for message in messages} == {"delivered", "undelivered", "failed", "sent"}
    assert all((message["price"] is None) == (message["status"] == "failed") for message in messages)


# --- records that lie


def test_repeated_and_restated_records_are_counted(home, truth, true_events):
    counts = truth["events"]["feeds"]["native"]
    assert len(true_events) == counts["true_events"]
    readable = [row for row in raw_usage(home) if row["started_at"] != "yesterday"]
    assert len(readable) == counts["true_events"] + counts["exact_duplicates"] + counts["near_duplicates"]
    assert counts["exact_duplicates"] > 0
    quantities = defaultdict(set)
    for row in readable:
        quantities[row["event_id"]].add(row["quantity"])
    assert sum(len(claims) > 1 for claims in quantities.values()) == counts["near_duplicates"] > 0


def test_one_file_is_sent_twice_and_one_is_broken_in_three_ways(home, truth):
    folder = home / "landing/usage/native"
    assert (folder / "usage_2026-10-12.csv.gz").read_bytes() == (folder / "usage_resent_2026-10-12.csv.gz").read_bytes()
    with gzip.open(folder / "usage_2026-10-06.csv.gz", "rt") as file:
        lines = list(csv.reader(file))
    broken = [line for line in lines if line[0].startswith("broken-")]
    assert [len(line) - len(lines[0]) for line in broken] == [-6, 1, 0]
    assert broken[2][lines[0].index("started_at")] == "yesterday"
    assert truth["events"]["broken_rows"] == 3


def test_some_records_arrive_days_late_and_after_the_month(true_events):
    delays = [instant(event["received_at"]) - event["started"] for event in true_events]
    late = sum(delay > timedelta(days=1) for delay in delays)
    assert 0.002 < late / len(delays) < 0.01
    assert any(event["started_at"] < "2026-11" < event["received_at"] for event in true_events)


def test_failed_calls_are_tried_again_at_another_carrier(true_events):
    failed = {
        (event["account_id"], event["destination"], event["origin"]): event
        for event in true_events
        if event["service"] == "voice" and event["status"] == "failed"
    }
    retried = 0
    for event in true_events:
        before = failed.get((event["account_id"], event["destination"], event["origin"]))
        if before and before["carrier_id"] != event["carrier_id"]:
            retried += timedelta(0) < event["started"] - before["started"] < timedelta(seconds=15)
    assert retried > 0.3 * len(failed)


def test_unknown_carriers_are_usage_all_the_same(true_events, truth):
    ghosts = [event for event in true_events if event["carrier_id"] == "ghost-tel"]
    assert len(ghosts) == truth["events"]["unknown_carrier"] == truth["events"]["unrated"]["unknown_carrier"] == 5


# --- exchange rates


def test_exchange_rates_are_the_ecbs_and_the_dinar_follows_the_dollar(home):
    published = read_rows(home / "landing/fx_rates/native/ecb.csv")
    days = {date.fromisoformat(row["rate_date"]) for row in published}
    assert min(days) == date(2026, 8, 24) and max(days) == date(2026, 10, 30)
    assert all(day.weekday() < 5 for day in days)
    dollars = {row["rate_date"]: row["rate"] for row in published if row["quote_currency"] == "USD"}
    assert dollars["2026-10-30"] == "1.1172"
    derived = read_rows(home / "landing/fx_rates/native/derived_kwd.csv")
    assert len(derived) == len(days)
    for row in derived:
        assert Decimal(row["rate"]) == round(Decimal(dollars[row["rate_date"]]) * Decimal("0.30750"), 6)


# --- slow rating from the files alone


class SlowRater:
    """One carrier's charges by plain decimals from the landing files; its terms are written out here once
    more.
    """

    def __init__(self, home: Path, carrier: str, service: str, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        versions = {}
        if carrier == "ponte-wholesale":
            for row in read_rows(home / "landing/rate_decks/az_decimal_comma/ponte-wholesale_2026-10-01.csv"):
                rate = Decimal(row["RATE"].replace(",", "."))
                rows = versions.setdefault((self.local_midnight("2026-10-01"), "full"), [])
                rows.append((row["PREFIX"], row["DESTINATION"], (rate, 60, Decimal(0))))
        for row in rows_of(home, "rate_decks/native", f"{carrier}_{service}-outbound*"):
            start = max(self.local_midnight(row["effective_date"]), instant(row["received_at"]))
            price = None
            if row["change_type"] != "closed":
                price = (
                    Decimal(row["rate_amount"]),
                    int(row["rate_per_quantity"]),
                    Decimal(row["connect_fee_amount"] or 0),
                )
            rows = versions.setdefault((start, row["deck_kind"]), [])
            rows.append((row["dial_code"], row["destination_name"], price))
        self.decks, current = [], {}
        for (start, kind), rows in sorted(versions.items(), key=lambda item: item[0][0]):
            current = {} if kind == "full" else dict(current)
            for code, name, price in rows:
                current[code] = (name, price)
            self.decks.append((start, {code: row for code, row in current.items() if row[1]}))

    def local_midnight(self, day: str) -> datetime:
        return datetime.fromisoformat(day).replace(tzinfo=self.zone).astimezone(UTC)

    def local_day(self, event: dict) -> str:
        return event["started"].astimezone(self.zone).date().isoformat()

    def price(self, event: dict) -> tuple[str, tuple[Decimal, int, Decimal]] | None:
        """Destination and price of an event, None where the deck in force has no code for it."""
        in_force = [codes for start, codes in self.decks if start <= event["started"]]
        number = event["destination"].lstrip("+")
        for length in range(len(number), -1, -1):
            if in_force and number[:length] in in_force[-1]:
                return in_force[-1][number[:length]]
        return None


@pytest.fixture(scope="module")
def rater(home: Path) -> Callable[[str, str, str], SlowRater]:
    """Slow raters by carrier, service and time zone, each made once."""
    return cache(partial(SlowRater, home))


def whole_minutes(seconds: int) -> int:
    return 60 if seconds <= 60 else -(-seconds // 60) * 60


def sixty_six(seconds: int) -> int:
    return 60 if seconds <= 60 else 60 + -(-(seconds - 60) // 6) * 6


def thirty_six(seconds: int) -> int:
    return 30 if seconds <= 30 else 30 + -(-(seconds - 30) // 6) * 6


def per_unit(quantity: int) -> int:
    return quantity


ANSWERED = {"answered"}
SUBMITTED = {"delivered", "undelivered", "expired", "unknown", "pending"}
SLOW_TERMS = [
    ("atlantic-voice", "voice", "UTC", whole_minutes, ANSWERED, "0.0001", "0.01", ROUND_HALF_UP),
    ("nordlink", "voice", "Europe/Berlin", thirty_six, ANSWERED, None, "0.01", ROUND_HALF_UP),
    ("ponte-wholesale", "voice", "Europe/Rome", per_unit, ANSWERED, "0.00001", "0.01", ROUND_HALF_UP),
    ("sakura-tel", "voice", "Asia/Tokyo", sixty_six, ANSWERED, None, "1", ROUND_DOWN),
    ("sakura-tel", "sms", "Asia/Tokyo", per_unit, {"delivered"}, None, "1", ROUND_DOWN),
    ("gulf-connect", "voice", "Asia/Kuwait", whole_minutes, ANSWERED, None, "0.001", ROUND_HALF_UP),
    ("textwave", "sms", "UTC", per_unit, SUBMITTED, None, "0.01", ROUND_HALF_UP),
]


def rounded(exact: Fraction, step: str, mode: str) -> Decimal:
    """A fraction rounded to a decimal step, by way of a decimal far longer than any rate."""
    wide = Decimal(exact.numerator * 10**30 // exact.denominator).scaleb(-30)
    return wide.quantize(Decimal(step), mode)


@pytest.mark.parametrize(
    ("carrier", "service", "zone", "billed", "charged_on", "event_step", "line_step", "mode"), SLOW_TERMS
)
def test_rated_amounts_are_what_plain_decimals_find(
    rater, truth, true_events, carrier, service, zone, billed, charged_on, event_step, line_step, mode
):
    slow = rater(carrier, service, zone)
    by_day = defaultdict(lambda: defaultdict(lambda: [0, Fraction(0)]))
    for event in true_events:
        if (event["carrier_id"], event["service"]) == (carrier, service) and event["status"] in charged_on:
            found = slow.price(event)
            if found:
                name, (rate, per_quantity, connect_fee) = found
                quantity = billed(int(event["quantity"]))
                cost = Fraction(rate) * quantity / per_quantity + Fraction(connect_fee)
                cell = by_day[name][slow.local_day(event)]
                cell[0] += quantity
                cell[1] += cost if event_step is None else Fraction(rounded(cost, event_step, mode))
    lines = [
        line
        for line in truth["lines"]
        if (line["carrier_id"], line["service"]) == (carrier, service) and Decimal(line["rated_amount"])
    ]
    assert len(lines) > 50
    for line in lines:
        first, last, sums = (
            line["service_first_date"],
            line["service_last_date"],
            by_day[line["destination_name"]],
        )
        days = [sums.pop(day) for day in sorted(sums) if first <= day <= last]
        assert int(line["billed_quantity"]) == sum(quantity for quantity, _ in days)
        assert Decimal(line["rated_amount"]) == rounded(sum((cost for _, cost in days), Fraction(0)), line_step, mode)
    left = [sums[day][1] for sums in by_day.values() for day in sums if "2026-10-01" <= day <= "2026-10-31"]
    assert all(rounded(cost, line_step, mode) == 0 for cost in left), "a charged destination has no line"


def test_coarse_increments_are_billed_from_the_fifteenth_on(rater, true_events, invoice_lines):
    slow = rater("nordlink", "voice", "Europe/Berlin")
    by_place = defaultdict(list)
    for event in true_events:
        found = event["carrier_id"] == "nordlink" and event["status"] == "answered" and slow.price(event)
        if found:
            day, seconds = slow.local_day(event), int(event["quantity"])
            billed = whole_minutes(seconds) if day >= "2026-10-15" else thirty_six(seconds)
            by_place[found[0]].append((day, billed, Fraction(found[1][0]) * billed / 60))
    checked = 0
    for line in counting(invoice_lines, "nordlink"):
        if line["destination_name"] in by_place:
            first, last = line["service_first_date"], line["service_last_date"]
            mine = [event for event in by_place[line["destination_name"]] if first <= event[0] <= last]
            assert int(line["event_count"]) == len(mine)
            assert int(line["billed_quantity"]) == sum(billed for _, billed, _ in mine)
            cost = sum(cost for _, _, cost in mine)
            assert Decimal(line["amount"]) == rounded(cost, "0.01", ROUND_HALF_UP)
            checked += 1
    assert checked > 100


def test_partners_are_charged_by_plan_country_and_local_month(truth, true_events):
    paris = ZoneInfo("Europe/Paris")
    seconds = {"bluebird-voice": 0, "bluebird-voice-fr": 0}
    for event in true_events:
        local = event["started"].astimezone(paris)
        answered = event["service"] == "voice" and event["status"] == "answered"
        if event["account_id"] == "bluebird-eu" and answered and (local.year, local.month) == (2026, 10):
            french = event["destination"].startswith("33")
            seconds["bluebird-voice-fr" if french else "bluebird-voice"] += int(event["quantity"])
    charges = {charge["plan_id"]: int(charge["billed_quantity"]) for charge in truth["charges"]}
    assert {plan: charges[plan] for plan in seconds} == seconds
    assert all(quantity > 0 for quantity in charges.values())


def test_twilios_prices_add_up_to_its_invoice_but_for_the_rounding_of_lines(home, truth):
    charged, prices = {}, Decimal(0)
    for feed, started in (("twilio_calls", "start_time"), ("twilio_messages", "date_sent")):
        charged |= {item["sid"]: (item[started], item["price"]) for item in twilio_objects(home, feed)}
    for started, price in charged.values():
        if price and " Oct 2026 " in started:
            prices -= Decimal(price)
    usage = [line for line in truth["lines"] if (line["carrier_id"], line["line_type"]) == ("twilio", "usage")]
    invoiced = [Decimal(line["invoiced_amount"]) for line in usage]
    assert abs(sum(invoiced) - prices) < Decimal("0.005") * len(invoiced)
    assert sum(invoiced) > 10


def test_inbound_calls_are_charged_from_twilios_objects(home, truth):
    latest = {}
    for call in twilio_objects(home, "twilio_calls"):
        updated = datetime.strptime(call["date_updated"], "%a, %d %b %Y %H:%M:%S %z")
        if call["sid"] not in latest or updated > latest[call["sid"]][0]:
            latest[call["sid"]] = updated, call
    minutes = 0
    for _, call in latest.values():
        start = datetime.strptime(call["start_time"], "%a, %d %b %Y %H:%M:%S %z").astimezone(
            ZoneInfo("America/New_York")
        )
        if call["account_sid"].startswith("AC5f") and call["direction"] == "inbound" and call["status"] == "completed":
            minutes += whole_minutes(int(call["duration"])) * (start.month == 10)
    charges = {charge["plan_id"]: int(charge["billed_quantity"]) for charge in truth["charges"]}
    assert charges["acme-voice-in"] == minutes > 0


# --- local months


def test_local_months_begin_with_their_zone_and_keep_the_long_day():
    october = Month.parse("2026-10")
    tokyo = october.midnights(ZoneInfo("Asia/Tokyo"))
    assert datetime.fromtimestamp(tokyo[0], UTC) == datetime(2026, 9, 30, 15, tzinfo=UTC)
    berlin = october.midnights(ZoneInfo("Europe/Berlin"))
    assert datetime.fromtimestamp(berlin[0], UTC) == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert datetime.fromtimestamp(berlin[-1], UTC) == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert berlin[25] - berlin[24] == 25 * 3600
    assert len(berlin) == 32


def test_usage_reaches_over_both_edges_of_the_month(true_events):
    starts = [event["started_at"] for event in true_events]
    assert min(starts) < "2026-09-30T15" and max(starts) > "2026-11-01T04"
    assert all("2026-09-30" <= start < "2026-11-02" for start in starts)


# --- invoices and the truth about them


def test_invoices_foot_and_their_lines_are_the_truths(truth, invoice_lines):
    for lines in invoice_lines.values():
        assert sum(Decimal(line["amount"]) for line in lines) == Decimal(lines[0]["invoice_total_amount"])
        assert len({line["invoice_total_amount"] for line in lines}) == 1
        assert len({line["line_number"] for line in lines}) == len(lines)
    carriers = {carrier for carrier, _ in invoice_lines}
    assert carriers == {total["carrier_id"] for total in truth["carriers"] if total["invoice_number"]}
    for carrier in carriers:
        said = {int(line["line_number"]): line["amount"] for line in counting(invoice_lines, carrier)}
        known = {
            line["line_number"]: line["invoiced_amount"]
            for line in truth["lines"]
            if line["carrier_id"] == carrier and line["line_number"]
        }
        assert said == known


def test_causes_explain_each_line_and_each_carrier_exactly(truth):
    totals = defaultdict(Decimal)
    for line in truth["lines"]:
        explained = sum(Decimal(cause["amount"]) for cause in line["causes"])
        assert explained == Decimal(line["invoiced_amount"]) - Decimal(line["rated_amount"])
        for cause in line["causes"]:
            totals[line["carrier_id"], cause["cause"]] += Decimal(cause["amount"])
    for carrier in truth["carriers"]:
        causes = {cause["cause"]: Decimal(cause["amount"]) for cause in carrier["causes"]}
        assert causes == {cause: amount for (owner, cause), amount in totals.items() if owner == carrier["carrier_id"]}
        if carrier["invoice_number"]:
            difference = Decimal(carrier["invoiced_amount"]) - Decimal(carrier["rated_amount"])
            assert sum(causes.values()) == difference


def test_every_carrier_makes_its_known_mistakes_and_no_other(truth):
    causes = {total["carrier_id"]: {cause["cause"] for cause in total["causes"]} for total in truth["carriers"]}
    assert causes == {
        "atlantic-voice": {"RATE", "DUPLICATE", "MISSING_OURS"},
        "nordlink": {"INCREMENT", "MISSING_OURS"},
        "ponte-wholesale": set(),
        "sakura-tel": {"MISSING_OURS", "VOLUME"},
        "gulf-connect": {"FEE", "MISSING_OURS"},
        "textwave": {"RATE", "MISSING_THEIRS", "MISSING_OURS", "FEE"},
        "mailpost": set(),
        "twilio": set(),
    }
    wrong = {(line["carrier_id"], cause["cause"]): line for line in truth["lines"] for cause in line["causes"]}
    stale = [
        line for line in truth["lines"] if "RATE" in str(line["causes"]) and line["carrier_id"] == "atlantic-voice"
    ]
    assert len(stale) == 6
    assert wrong["gulf-connect", "FEE"]["invoiced_amount"] == "45.000"
    assert wrong["textwave", "MISSING_THEIRS"]["line_number"] is None
    assert Decimal(wrong["textwave", "MISSING_THEIRS"]["causes"][0]["amount"]) < 0
    assert Decimal(wrong["sakura-tel", "VOLUME"]["causes"][0]["amount"]) < 0
    tenfold = wrong["textwave", "RATE"]
    assert Decimal(tenfold["invoiced_amount"]) / Decimal(tenfold["rated_amount"]) == pytest.approx(10, rel=0.05)


def test_stale_rates_are_billed_after_the_amendment_only(home, truth, invoice_lines):
    said = {int(line["line_number"]): line for line in counting(invoice_lines, "atlantic-voice")}
    before = {
        row["destination_name"]: row["rate_amount"]
        for row in rows_of(home, "rate_decks/native", "atlantic*-2026-10.csv")
    }
    amended = rows_of(home, "rate_decks/native", "atlantic*-amendment.csv")
    lower = {row["destination_name"]: row["rate_amount"] for row in amended if row["change_type"] == "decrease"}
    for line in truth["lines"]:
        if line["carrier_id"] == "atlantic-voice" and [cause["cause"] for cause in line["causes"]] == ["RATE"]:
            assert line["service_first_date"] == "2026-10-15"
            assert said[line["line_number"]]["rate_amount"] == before[line["destination_name"]]
            assert Decimal(lower[line["destination_name"]]) < Decimal(before[line["destination_name"]])


def test_the_repeated_line_is_credited_in_the_next_month(home, truth, invoice_lines):
    copy = next(line for line in truth["lines"] if [cause["cause"] for cause in line["causes"]] == ["DUPLICATE"])
    usage = [line for line in counting(invoice_lines, "atlantic-voice") if line["line_type"] == "usage"]
    same = [line for line in usage if line["destination_name"] == copy["destination_name"]
            and line["service_first_date"] == copy["service_first_date"]]  # fmt: skip
    assert len(same) == 2
    assert {key: same[0][key] for key in same[0] if key != "line_number"} == {
        key: same[1][key] for key in same[1] if key != "line_number"
    }
    notes = rows_of(home, "credit_notes/native")
    assert notes == truth["credit_notes"]
    assert [(note["cause"], note["amount"]) for note in notes] == [("DUPLICATE", copy["invoiced_amount"])]
    assert notes[0]["issue_date"].startswith("2026-11")


def test_call_records_are_the_answered_calls_but_for_the_known_mistakes(home, truth, true_events):
    records = rows_of(home, "carrier_cdrs/native", "*.csv.gz")
    berlin = ZoneInfo("Europe/Berlin")
    calls = {
        event["event_id"]: ("00" + event["destination"].removeprefix("+"), event["started"].astimezone(berlin))
        for event in true_events
        if (event["carrier_id"], event["service"], event["status"]) == ("nordlink", "voice", "answered")
        and event["started"].astimezone(berlin).month == 10
    }
    mistakes = truth["call_records"]
    assert mistakes["carrier_id"] == "nordlink" and {row["carrier_id"] for row in records} == {"nordlink"}
    assert all(set(hit) <= set(calls) for name, hit in mistakes.items() if name != "carrier_id")
    assert len({row["record_id"] for row in records}) == len(records)
    listed = Counter((row["called_number"], row["started_at"]) for row in records)
    expected = Counter(
        (number, f"{at + timedelta(minutes=30 if name == 'invented_beside' else 0):%Y-%m-%d %H:%M:%S}")
        for name, events in [("all", set(calls) - set(mistakes["left_out"])), *list(mistakes.items())[1:]]
        if name in ("all", "listed_twice", "invented_beside")
        for number, at in (calls[event] for event in events)
    )
    assert listed == expected


def test_the_restated_invoice_is_the_longer_one(invoice_lines):
    first, second = invoice_lines["nordlink", "1"], invoice_lines["nordlink", "2"]
    lines = {line["line_number"]: line["amount"] for line in second if line["line_type"] == "usage"}
    shorter = {line["line_number"]: line["amount"] for line in first if line["line_type"] == "usage"}
    assert shorter.items() < lines.items()
    net = sum(Decimal(line["amount"]) for line in second if line["line_type"] != "tax")
    tax = [Decimal(line["amount"]) for line in second if line["line_type"] == "tax"]
    assert tax == [(net * Decimal("0.19")).quantize(Decimal("0.01"), ROUND_HALF_UP)]


def test_fees_are_billed_by_the_terms_but_for_a_surcharge_that_is_raised_early(truth):
    fees = {
        (line["carrier_id"], line["rated_amount"], line["invoiced_amount"])
        for line in truth["lines"]
        if line["line_type"] == "fee" and line["carrier_id"] != "textwave"
    }
    assert fees == {
        ("nordlink", "2.82", "2.82"),  # 31 + 15 + 20 + 31 days of four numbers at 0.90 a month
        ("nordlink", "35.00", "35.00"),
        ("twilio", "8.90", "8.90"),  # four numbers at 1.15, two toll-free ones at 2.15
        ("gulf-connect", "0.000", "45.000"),
    }
    (surcharge,) = (line for line in truth["lines"] if (line["carrier_id"], line["line_type"]) == ("textwave", "fee"))
    segments = sum(
        int(line["billed_quantity"])
        for line in truth["lines"]
        if line["carrier_id"] == "textwave" and line["line_type"] == "usage" and Decimal(line["rated_amount"])
    )
    assert Decimal(surcharge["rated_amount"]) == pytest.approx(segments * Decimal("0.0008"), abs=Decimal("0.005"))
    assert Decimal(surcharge["invoiced_amount"]) == pytest.approx(segments * Decimal("0.0010"), abs=Decimal("0.005"))


def test_lines_split_where_the_price_changes_and_a_late_amendment_counts_from_receipt(home, truth):
    amended = {row["destination_name"] for row in rows_of(home, "rate_decks/native", "gulf*-amendment.csv")}
    spans = defaultdict(set)
    for line in truth["lines"]:
        if line["carrier_id"] == "gulf-connect" and line["service"] == "voice":
            spans[line["destination_name"] in amended].add((line["service_first_date"], line["service_last_date"]))
    assert spans[False] == {("2026-10-01", "2026-10-31")}
    assert spans[True] == {("2026-10-01", "2026-10-13"), ("2026-10-14", "2026-10-31")}


def test_a_closed_code_falls_back_to_the_shorter_one(home, rater):
    closed = [row for row in rows_of(home, "rate_decks/native") if row["change_type"] == "closed"]
    assert [row["carrier_id"] for row in closed] == ["textwave"]
    slow = rater("textwave", "sms", "UTC")
    number = closed[0]["dial_code"].ljust(11, "5")
    before = slow.price({"started": datetime(2026, 10, 14, 23, 59, 59, tzinfo=UTC), "destination": number})
    after = slow.price({"started": datetime(2026, 10, 15, tzinfo=UTC), "destination": number})
    assert before[0] == closed[0]["destination_name"]
    assert after is not None and after[0] != before[0]


def test_what_no_deck_prices_is_billed_at_the_carriers_own_rate(home, rater, truth, true_events):
    place = ("carrier_id", "service", "destination_name")
    decks = {tuple(row[key] for key in place) for row in rows_of(home, "rate_decks/native")}
    forgotten = [
        line
        for line in truth["lines"]
        if line["causes"] and line["causes"][0]["cause"] == "MISSING_OURS" and line["carrier_id"] != "sakura-tel"
    ]
    assert {line["carrier_id"] for line in forgotten} == {
        "atlantic-voice",
        "nordlink",
        "gulf-connect",
        "textwave",
    }
    for line in forgotten:
        assert tuple(line[key] for key in place) not in decks
        assert Decimal(line["rated_amount"]) == 0
    unrated = 0
    for carrier, service, zone, *_ in [*SLOW_TERMS, ("gulf-connect", "sms", "Asia/Kuwait")]:
        mine = [event for event in true_events if (event["carrier_id"], event["service"]) == (carrier, service)]
        unrated += sum(rater(carrier, service, zone).price(event) is None for event in mine)
    counts = truth["events"]["unrated"]
    assert unrated == counts["no_rate"] + counts["rate_not_yet_effective"]


def test_prices_follow_the_published_law(home):
    """Median 0.1175 euro a minute, and a spread of the logarithm near 0.92, over destinations."""
    rates = {}
    for row in read_rows(home / "landing/rate_decks/az_decimal_comma/ponte-wholesale_2026-10-01.csv"):
        if "Mobile " not in row["DESTINATION"]:
            rates[row["DESTINATION"]] = Decimal(row["RATE"].replace(",", "."))
    logarithms = [float(rate.ln()) for rate in rates.values()]
    mean = sum(logarithms) / len(logarithms)
    spread = (sum((value - mean) ** 2 for value in logarithms) / len(logarithms)) ** 0.5
    assert 0.07 < sorted(rates.values())[len(rates) // 2] < 0.18
    assert 0.7 < spread < 1.15
