"""Single calls beside carriers' own records of them, on a real home: clocks that are wrong and change, numbers written
otherwise, calls that repeat within seconds, records that are missing, doubled, altered or invented.
"""

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import tollgate
from test_end_to_end import published, warehouse
from test_fees import DECK, INVOICE_HEADER

BERLIN = ZoneInfo("Europe/Berlin")
CALLER = "12125550178"


class Lists:
    """What we know, and what the carriers list, call by call."""

    def __init__(self) -> None:
        self.usage: list[dict] = []
        self.records: list[dict] = []

    def event(self, key, carrier, called, at, seconds, *, call_id="", status="answered"):
        self.usage.append(
            {
                "event_id": key, "call_id": call_id, "service": "voice", "direction": "outbound",
                "account_id": "bluebird-eu", "carrier_id": carrier, "origin": "+" + CALLER, "destination": called,
                "started_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "status": status, "quantity": seconds,
                "quantity_unit": "second", "received_at": f"{at + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}",
            }
        )  # fmt: skip

    def record(self, key, carrier, called, written, seconds, billed, **other):
        self.records.append(
            {
                "carrier_id": carrier, "record_id": key, "service": "voice", "direction": "outbound",
                "called_number": called, "started_at": written, "duration": seconds, "billed_quantity": billed,
                "quantity_unit": "second",
            }
            | other
        )  # fmt: skip


def utc(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, second, tzinfo=UTC)


def in_berlin(at: datetime, seconds_off: int = 0) -> str:
    return f"{at.astimezone(BERLIN) + timedelta(seconds=seconds_off):%Y-%m-%d %H:%M:%S}"


def billed_30_6(seconds: int) -> int:
    return 0 if seconds == 0 else max(30, 30 + -(-(seconds - 30) // 6) * 6)


def nordlink(lists: Lists) -> None:
    """The wall clock of Berlin over the night on which it changes; `00`; the end of the caller's number hidden."""

    def record(key, called, written, seconds, **other):
        billed = billed_30_6(other.pop("billed", seconds))
        amount = f"{Decimal('0.12') * billed / 60:.4f}"
        known = {"calling_number": CALLER[:-2] + "xx", "amount": amount, "currency": "EUR"}
        lists.record(key, "nordlink", "00" + called, written, seconds, billed, **known | other)

    def both(key, called, at, seconds, off=0, **other):
        lists.event(f"n-{key}", "nordlink", called, at, seconds)
        record(f"N-{key}", called, in_berlin(at, off), seconds, **other)

    plain = [
        *(utc(24, hour, 5) for hour in range(8, 16)),
        # Between 00:00 and 02:00 UTC the hands show the hour from two to three twice.
        *(utc(25, 0, 10), utc(25, 0, 40), utc(25, 1, 20)),
        *(utc(25, hour, 5) for hour in range(8, 15)),
        *(utc(26, hour, 5) for hour in range(8, 16)),
    ]
    for number, at in enumerate(plain):
        both(f"plain-{number}", f"4930{1000000 + number * 7919}", at, 20 + number, off=number % 3 - 1)
    # Five calls of one pair within twenty seconds, of which the carrier lost the third.
    for number, (second, seconds, off) in enumerate([(0, 5, 1), (4, 5, -1), (9, 7, 0), (13, 5, 1), (20, 30, 0)]):
        at = utc(26, 16, 0, second)
        lists.event(f"n-run-{number}", "nordlink", "49309999991", at, seconds)
        if number != 2:
            record(f"N-run-{number}", "49309999991", in_berlin(at, off), seconds)
    # Two calls that nothing tells apart are two; a record that stands twice is one.
    for number in (1, 2):
        both(f"same-{number}", "49309999992", utc(26, 17), 12)
    both("twice", "49309999993", utc(26, 17, 10), 40)
    record("N-again", "49309999993", in_berlin(utc(26, 17, 10)), 40)
    both("second-more", "49309999994", utc(26, 17, 20), 62)
    lists.records[-1]["duration"] = 63
    lists.event("n-longer", "nordlink", "49309999995", utc(26, 17, 30), 62)
    record("N-longer", "49309999995", in_berlin(utc(26, 17, 30)), 92)
    both("dearer", "49309999996", utc(26, 17, 40), 60, amount="0.2400")
    both("other-money", "49309999997", utc(26, 17, 50), 60, currency="USD")
    record("N-invented", "49309999998", in_berlin(utc(26, 18)), 60)
    both("no-caller", "49309999989", utc(26, 18, 10), 33, calling_number="")
    # The first attempt failed here, and the call went on to the other carrier.
    lists.event("n-failed", "nordlink", "493077777701", utc(20, 9), 0, status="failed")
    lists.event("n-unanswered", "nordlink", "49309999988", utc(26, 12, 30), 0, status="no_answer")


def ponte(lists: Lists) -> None:
    """Five hours behind and 17 seconds fast, national numbers with two digits hidden, and never the caller."""
    for number in range(9):
        at = utc(20, 9, 0, 6) if number == 1 else utc(20, 2 + number * 2, 30)
        called = f"4930777777{number:02}" if number == 1 else f"4930{5000000 + number * 10407}"
        lists.event(f"p-{number}", "ponte-wholesale", called, at, 100 + number * 10)
        if number != 5:
            written = f"{at - timedelta(hours=5) + timedelta(seconds=17):%Y-%m-%dT%H:%M:%S}"
            lists.record(
                f"P-{number}", "ponte-wholesale", f"0{called[2:-2]}XX", written, 100 + number * 10, 100 + number * 10
            )


def atlantic(lists: Lists) -> None:
    """Some records have the id that we know; it counts more than number and time."""
    for number in range(6):
        at, called = utc(12, 8 + number), f"4420794600{number:02}"
        call_id = f"id-{number}@host" if number else "id-of-a-call-that-failed-over"
        lists.event(f"a-{number}", "atlantic-voice", called, at, 30, call_id=call_id)
        known = {"call_id": call_id} if number < 4 else {"calling_number": CALLER}
        written = at + timedelta(seconds=300 if number == 2 else 0)
        number_written = "" if number == 3 else "+" + called
        lists.record(f"A-{number}", "atlantic-voice", number_written, f"{written:%Y-%m-%dT%H:%M:%SZ}", 30, 60, **known)
    # The same id at another carrier is another attempt.
    first_attempt = {"call_id": "id-of-a-call-that-failed-over", "status": "failed"}
    lists.event("n-same-id", "nordlink", "442079460000", utc(12, 7, 59, 50), 0, **first_attempt)
    lists.record("A-again", "atlantic-voice", "", f"{utc(12, 11):%Y-%m-%dT%H:%M:%SZ}", 30, 60, call_id="id-3@host")
    # Nobody knows this carrier.
    lists.record("X-1", "nobody-tel", "4420794600", f"{utc(12, 11):%Y-%m-%dT%H:%M:%SZ}", 30, 60)
    lists.record("A-nobody", "atlantic-voice", "", f"{utc(12, 11):%Y-%m-%dT%H:%M:%SZ}", 30, 60)


def as_csv(rows: list[dict]) -> str:
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was settled with the lists of three carriers. Read only."""
    lists = Lists()
    for carrier in (nordlink, ponte, atlantic):
        carrier(lists)
    deck = DECK.splitlines()[:1]
    for carrier, currency in (("nordlink", "EUR"), ("ponte-wholesale", "EUR"), ("atlantic-voice", "USD")):
        for code, name in (("49", "Germany"), ("44", "United Kingdom")):
            deck.append(
                f"{carrier},voice,outbound,1,full,2026-09-01T00:00:00Z,2026-09-15,{code},{name},new,0.12,{currency},60,second,"
            )
    line = "usage,voice,outbound,Germany,2026-10-01,2026-10-31,40,1800,second,0.12,60,3.60,,"
    files = {
        "usage/native/usage.csv": as_csv(lists.usage),
        "rate_decks/native/decks.csv": "\n".join(deck) + "\n",
        "carrier_invoices/native/nordlink.csv": "\n".join(
            [INVOICE_HEADER, f"nordlink,NL-1,1,2026-11-02,2026-10-01,EUR,1,{line},3.60"]
        ) + "\n",
        "carrier_cdrs/native/first.csv": as_csv(lists.records),
        # Records of one file come again with the next.
        "carrier_cdrs/native/later.csv": as_csv(lists.records[10:40]),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("calls")
    for name, text in files.items():
        path = folder / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run = tollgate(folder, "run")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def matches(home) -> dict[str, tuple]:
    """Class, what differs, how found and event, by the carrier's own key; by our key where the carrier has none."""
    found = warehouse(
        home,
        """select coalesce(cdr_id, event_id), match_class, difference_type, matched_by, event_id
        from reconcile.int_calls_matched""",
    )
    return {key.split(":")[-1]: (*what, event and event.split(":")[-1]) for key, *what, event in found}


def test_a_clock_that_changes_its_hour_is_followed_call_by_call(matches, home):
    plain = {key: match for key, match in matches.items() if key.startswith("N-plain")}
    assert len(plain) == 26
    assert all(match[0] == "exact" and match[3] == key.replace("N-", "n-") for key, match in plain.items())
    shifts = warehouse(
        home,
        """select distinct written_date::varchar, shift_seconds from reconcile.int_clock_shifts_estimated
        join reconcile.int_cdr_spans_merged using (scope_number) where carrier_id = 'nordlink'""",
    )
    assert dict(shifts) == {"2026-10-24": 7200, "2026-10-25": 3600, "2026-10-26": 3600}


def test_calls_that_repeat_within_seconds_keep_their_order(matches):
    for number in (0, 1, 3, 4):
        assert matches[f"N-run-{number}"] == ("exact", None, "numbers", f"n-run-{number}")
    assert matches["n-run-2"][0] == "missing_theirs"
    assert {matches[f"N-same-{number}"][3] for number in (1, 2)} == {"n-same-1", "n-same-2"}
    assert {matches[f"N-same-{number}"][0] for number in (1, 2)} == {"exact"}


def test_each_difference_has_its_class(matches, home):
    assert matches["N-second-more"][:2] == ("partial", None)
    assert matches["N-longer"] == ("mismatch", "duration", "numbers", "n-longer")
    assert matches["N-dearer"][:2] == ("mismatch", "amount")
    assert matches["N-other-money"][:2] == ("mismatch", "currency")
    assert matches["N-invented"] == matches["X-1"] == ("missing_ours", None, None, None)
    assert matches["N-no-caller"] == ("exact", None, "called_number", "n-no-caller")
    assert {matches["N-twice"][0], matches["N-again"][0]} == {"exact", "duplicate"}
    [(duplicate, first)] = published(
        home,
        """select cdr_id, duplicated_cdr_id from settle.fct_carrier_call_differences
        where match_class = 'duplicate' and carrier_id = 'nordlink'""",
    )
    assert {duplicate, first} == {"native:nordlink:N-twice", "native:nordlink:N-again"}


def test_hours_behind_and_hidden_digits_are_found_out(matches):
    for number in range(9):
        if number == 5:
            assert matches["p-5"][0] == "missing_theirs"
        else:
            assert matches[f"P-{number}"] == ("exact", None, "numbers", f"p-{number}")


def test_an_attempt_belongs_to_its_own_carrier_and_costs_nobody_a_difference(matches):
    assert matches["P-1"][3] == "p-1"
    assert not {"n-failed", "n-unanswered", "n-same-id"} & set(matches)


def test_an_id_that_both_know_counts_more_than_number_and_time(matches, home):
    assert all(matches[f"A-{number}"] == ("exact", None, "call_id", f"a-{number}") for number in (0, 1, 2))
    assert all(matches[f"A-{number}"] == ("exact", None, "numbers", f"a-{number}") for number in (4, 5))
    assert sorted(matches[key][0] for key in ("A-3", "A-again")) == ["duplicate", "exact"]
    refused = warehouse(home, "select refusal_reason from stage.int_rows_refused where kind = 'carrier_cdrs'")
    assert refused == [("call_unidentified",)]


def test_what_is_sent_twice_is_one_record(home):
    [(copies, records)] = warehouse(home, "select sum(record_count), count(*) from stage.int_cdrs_deduplicated")
    assert copies - records == 30


def test_the_published_tables_show_every_call_and_what_the_line_is_proven_by(home, matches):
    daily = published(
        home,
        "select match_class, sum(greatest(event_count, cdr_count)) from settle.fct_carrier_calls_daily group by all",
    )
    assert dict(daily) == Counter(match[0] for match in matches.values())
    [(grain, proven)] = published(
        home,
        """select matched_grain, call_proven_amount from settle.fct_carrier_invoice_lines
        where line_type = 'usage' and carrier_id = 'nordlink'""",
    )
    agreeing = warehouse(
        home,
        """select quantity from rate.int_events_rated join reconcile.int_calls_matched using (event_id, carrier_id)
        where carrier_id = 'nordlink' and match_class in ('exact', 'partial')""",
    )
    assert grain == "call"
    assert proven == sum(Decimal(billed_30_6(int(seconds))) * Decimal("0.002") for (seconds,) in agreeing)
