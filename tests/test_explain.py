"""`tollgate explain`: what it prints of an event is what the models reckoned, and leads from record to amount.

Belongs here: the sentences and facts of an explanation, what is said where there is none. Does not belong here: whether
the models reckon rightly (test_rating).
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conformance.home import Files
from test_incremental import Warehouse, as_csv, columns_of
from test_rating import random_agreement, random_call, written

from orchestration import explain
from orchestration.explain import price
from orchestration.explain.event import UNRATED
from orchestration.lock import only_run
from orchestration.settings import Home

RANDOM_CALLS = 150
EXPLAINED_AT_RANDOM = 12
RECEIVED = "2026-09-20T08:00:00Z"


def add_carrier(files: Files, name: str, agreement: dict | None = None, terms: dict | None = None) -> None:
    files.rows["parties"].append({"party_id": name, "party_name": name, "is_carrier": "true", "is_partner": "false"})
    files.rows["agreements"].append(
        {"agreement_id": f"{name}-2026", "party_id": name, "party_role": "carrier", "valid_from_date": "2026-01-01",
         "currency": "EUR", "time_zone": "Europe/Berlin", "rounding_mode": "half_up", "line_rounding_decimals": 2,
         "tax_ratio": 0, "payment_days": 30} | (agreement or {})
    )  # fmt: skip
    files.rows["rating_terms"].append(
        {"agreement_id": f"{name}-2026", "service": "voice", "direction": "outbound", "quantity_unit": "second",
         "minimum_quantity": 1, "increment_quantity": 1, "increment_method": "residual", "charged_on": "answered"}
        | (terms or {})
    )  # fmt: skip


def deck(carrier: str, version: str, *rows: dict, kind: str = "full", received: str = RECEIVED) -> list[dict]:
    common = {"carrier_id": carrier, "service": "voice", "direction": "outbound", "deck_version": version,
              "deck_kind": kind, "received_at": received, "effective_date": "2026-10-01", "rate_currency": "EUR",
              "rate_unit": "second", "rate_per_quantity": 60, "connect_fee_amount": 0}  # fmt: skip
    return [common | row for row in rows]


def call(event_id: str, carrier: str, number: str, at: str, seconds: object, status: str = "answered") -> dict:
    return {"event_id": event_id, "service": "voice", "direction": "outbound", "account_id": "a", "carrier_id": carrier,
            "origin": "4930999888", "destination": number, "started_at": at, "status": status, "quantity": seconds,
            "quantity_unit": "second", "received_at": at}  # fmt: skip


def small_month() -> tuple[Files, dict[str, list[dict]]]:
    """A carrier for each kind of arithmetic, with sums that fit on a slip of paper; the decks by file."""
    dice = random.Random(11)
    agreements = [random_agreement(dice, number) for number in range(6)]
    files = written(agreements, [random_call(dice, number, agreements) for number in range(RANDOM_CALLS)])
    add_carrier(files, "alpha", {"tax_ratio": "0.19"}, {"minimum_quantity": 30, "increment_quantity": 6})
    add_carrier(
        files,
        "bravo",
        {"event_rounding_decimals": 4, "time_zone": "UTC"},
        {"increment_rounding_mode": "half_up", "increment_rounding_decimals": 3},
    )
    add_carrier(files, "charlie", {"event_rounding_decimals": 3})
    add_carrier(files, "delta", {}, {"free_quantity": 100})
    add_carrier(
        files, "echo", {"tax_ratio": "0.1"}, {"attempt_fee_amount": "0.002", "attempt_fee_scope": "failed_attempt"}
    )
    add_carrier(files, "foxtrot", {})
    files.rows["parties"].append({"party_id": "p", "party_name": "p", "is_carrier": "false", "is_partner": "true"})
    files.rows["agreements"].append(
        files.rows["agreements"][-1] | {"agreement_id": "p-2026", "party_id": "p", "party_role": "partner"}
    )
    files.rows |= {
        "accounts": [{"account_id": "a", "partner_id": "p", "valid_from_date": "2020-01-01"}],
        "plans": [{"plan_id": "plan-p", "partner_id": "p", "service": "voice", "direction": "outbound",
                   "country_code": "*", "valid_from_date": "2020-01-01", "pricing_model": "per_unit",
                   "quantity_unit": "second", "minimum_quantity": 60, "increment_quantity": 60,
                   "priced_per_quantity": 60, "charged_on": "answered"}],
        "plan_tiers": [{"plan_id": "plan-p", "tier_number": 1, "unit_amount": "0.1", "flat_amount": 0}],
        "destination_codes": [
            {"carrier_id": "*", "destination_name": "Germany Mobile", "dial_code": code} for code in ("4915", "4917")
        ],
    }  # fmt: skip
    files.rows["usage"] += [
        call("ev-plain", "alpha", "4915112345678", "2026-10-12T08:00:00Z", 47),
        call("ev-endless", "alpha", "4931123456", "2026-10-12T09:00:00Z", 47),
        call("ev-early", "alpha", "4930123456", "2026-09-25T08:00:00Z", 10),
        call("ev-nowhere", "alpha", "8130123456", "2026-10-12T08:00:00Z", 10),
        call("ev-twice", "alpha", "4930123456", "2026-10-13T08:00:00Z", 0, "pending"),
        call("ev-twice", "alpha", "4930123456", "2026-10-13T08:00:00Z", 36) | {"received_at": "2026-10-14T00:00:00Z"},
        call("ev-parts", "bravo", "12025550143", "2026-10-12T08:00:00Z", 47),
        call("ev-night", "charlie", "33123456789", "2026-10-12T21:59:15Z", 100),
        call("ev-free-1", "delta", "4930123456", "2026-10-12T08:00:00Z", 40),
        call("ev-free-2", "delta", "4930123456", "2026-10-12T08:00:00Z", 50),
        call("ev-free-3", "delta", "4930123456", "2026-10-12T09:00:00Z", 30),
        call("ev-free-4", "delta", "4930123456", "2026-10-31T23:30:00Z", 30),  # November in Berlin
        call("ev-failed", "echo", "4930123456", "2026-10-12T08:00:00Z", 0, "failed"),
        call("ev-named", "foxtrot", "4917612345678", "2026-10-12T08:00:00Z", 60),
        call("ev-ported", "foxtrot", "4917612345678", "2026-10-12T08:00:00Z", 60)
        | {"origin": "447700900123", "mcc": "262", "mnc": "01"},
        call("ev-nobody", "nobody", "4930123456", "2026-10-12T08:00:00Z", 10),
        call("m0 anna@mail.example", "alpha", "4930123456", "2026-10-12T08:00:00Z", 10),
        call("ev-refused", "alpha", "030123456", "2026-10-12T08:00:00Z", 10),
    ]
    night = {"dial_code": "33", "destination_name": "France", "increment_quantity": 10, "minimum_quantity": 0,
             "connect_fee_amount": "0.01", "maximum_amount": "0.5"}  # fmt: skip
    decks = {
        "random.csv": files.rows["decks"],
        "alpha-1.csv": deck(
            "alpha",
            "A1",
            {"dial_code": "49", "destination_name": "Germany", "rate_amount": "0.02", "connect_fee_amount": "0.005"},
            {"dial_code": "4915", "destination_name": "Germany Mobile", "rate_amount": "0.09"},
            {"dial_code": "49151", "destination_name": "Germany Mobile T", "rate_amount": "0.12"},
            {"dial_code": "4931", "destination_name": "Germany 31", "rate_amount": "0.01", "rate_per_quantity": 7},
        ),
        "alpha-2.csv": deck(
            "alpha",
            "A2",
            {"dial_code": "49151", "destination_name": "Germany Mobile T", "change_type": "closed"},
            {"dial_code": "4915", "destination_name": "Germany Mobile", "rate_amount": "0.1"},
            kind="amendment",
            received="2026-10-10T12:00:00Z",
        ),
        "bravo-1.csv": deck(
            "bravo",
            "B1",
            {
                "dial_code": "1",
                "destination_name": "United States",
                "rate_amount": "0.0173",
                "minimum_quantity": 30,
                "increment_quantity": 6,
            },
        ),
        "charlie-1.csv": deck(
            "charlie",
            "C1",
            night | {"rate_amount": "0.06", "starts_at": "08:00", "ends_at": "24:00"},
            night | {"rate_amount": "0.03", "starts_at": "00:00", "ends_at": "08:00"},
            night
            | {
                "rate_amount": "0.012",
                "rate_per_quantity": 30,
                "starts_at": "00:00",
                "ends_at": "08:00",
                "from_quantity": 60,
            },
        ),
        "delta-1.csv": deck("delta", "D1", {"dial_code": "49", "destination_name": "Germany", "rate_amount": "0.06"}),
        "foxtrot-1.csv": deck(
            "foxtrot",
            "F1",
            {"destination_name": "Germany mobile", "rate_amount": "0.06"},
            {"destination_name": "Atlantis", "rate_amount": "9"},
            {"mcc": "262", "mnc": "01", "destination_name": "Telekom", "rate_amount": "0.03"},
            {"mcc": "262", "mnc": "01", "origin_code": "44", "destination_name": "Telekom", "rate_amount": "0.12"},
            {"mcc": "262", "mnc": "01", "origin_code": "33", "destination_name": "Telekom", "rate_amount": "0.24"},
        ),
        "echo-1.csv": deck("echo", "E1", {"dial_code": "49", "destination_name": "Germany", "rate_amount": "0.06"}),
    }
    return files, decks


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose events are rated. Read only: a test that changes it works on a copy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TOLLGATE_WAREHOUSE", "TOLLGATE_TERMS"):
            patch.setenv(name, "")
        patch.setenv("TOLLGATE_QUIET_SECONDS", "0")
        warehouse = Warehouse(tmp_path_factory.mktemp("explain"))
        files, decks = small_month()
        usage = as_csv(files.rows["usage"], columns_of("usage__native"), warehouse.folder)
        mail = {"sg_message_id": "m0", "email": "anna@mail.example", "event": "delivered", "timestamp": 1760256000}
        warehouse.write_terms(files.rows)
        warehouse.land(
            [("usage/native", "calls.csv", usage), ("usage/sendgrid", "m_mails.jsonl", json.dumps(mail))]
            + [
                ("rate_decks/native", name, as_csv(rows, columns_of("rate_decks__native"), warehouse.folder))
                for name, rows in decks.items()
            ]
        )
        warehouse.run()
    return warehouse.home.root


def rated(home: Path, event_id: str) -> dict:
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb"), read_only=True) as connection:
        found = connection.execute("select * from rate.int_events_rated where event_id = ?", [event_id])
        return dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))


def explained(home: Path, event: str, mask: bool = False) -> tuple[dict[str, list[str]], dict]:
    """Sentences and facts by step, after both were held against the models."""
    told = explain.explain(home / "warehouse" / "tollgate.duckdb", event, mask)
    assert told.defects == []
    facts = json.loads(explain.as_json(told))
    row = rated(home, told.subject)
    for name in ("rated_cost_amount", "rated_cost_including_tax_amount", "undivided_cost_amount", "rate_amount"):
        given = facts["cost"][name]
        assert (None if given is None else Decimal(given)) == row[name], name
    assert facts["cost"]["rated_cost_currency"] == row["rated_cost_currency"]
    assert facts["cost"]["deck_row_id"] == row["deck_row_id"]
    if row["rating_status"] == "rated":
        assert Decimal(facts["quantity"]["billed_quantity"] or 0) == row["billed_quantity"]
    return {step.name: step.sentences for step in told.steps}, facts


def tollgate(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "tollgate"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"TOLLGATE_HOME": str(home)}, timeout=300
    )


# --- what an explanation says ---------------------------------------------------------------------------------------


def test_a_plain_call_is_followed_from_its_record_to_its_amount_with_tax(home):
    said, facts = explained(home, "ev-plain")
    assert said["event"] == [
        "Call, outbound, carrier alpha, account a, from 4930999888, to 4915112345678.",
        f"Record {RANDOM_CALLS + 1} of usage/native/calls.csv, received 2026-10-12 08:00:00 UTC.",
        "It began 2026-10-12 08:00:00 UTC, on the agreement's clock 2026-10-12 10:00:00 (Europe/Berlin).",
        "It ended as answered, with 47 s.",
    ]
    assert said["agreement"][0] == (
        "alpha-2026, valid from 2025-12-31 23:00:00 UTC, without end; clock Europe/Berlin, currency EUR."
    )
    assert said["quantity"] == ["47 s raw.", "By the agreement's increments, 30/6, billed: 30 + 3 x 6 = 48 s."]
    assert said["cost"] == [
        "Usage: 0.1 x 48 / 60 = 0.08 EUR.",
        "No single event is rounded: 0.08 EUR.",
        "With tax: 0.08 x 1.19 = 0.0952 EUR.",
    ]
    assert said["charge"] == ["p is charged for 60 s by plan plan-p (agreement p-2026, day 2026-10-12)."]
    assert facts["agreement"]["agreement_id"] == "alpha-2026"


def test_each_code_that_begins_the_number_is_shown_with_what_it_was_at_that_instant(home):
    said, facts = explained(home, "ev-plain")
    states = [
        (code["dial_code"], code["deck_version"], code["record_numbers"], code["state"])
        for code in facts["price"]["codes"]
    ]
    assert states == [
        ("49151", "A2", [1], "closed"),
        ("49151", "A1", [3], "ended"),
        ("4915", "A2", [2], "in force"),
        ("4915", "A1", [2], "ended"),
        ("49", "A1", [1], "in force"),
    ]
    assert said["price"][0].endswith("that are for number 4915112345678, closest first, as of 2026-10-12 08:00:00 UTC:")
    late, row = "for it came late and applies from its receipt", "record 2 of rate_decks/native/alpha-2.csv"
    assert said["price"][3] == (
        f"  4915, Germany Mobile: 0.1 EUR for 60 s; in force since 2026-10-10 12:00:00 UTC, {late} "
        f"(amendment deck A2, effective 2026-10-01, received 2026-10-10 12:00:00 UTC, {row})"
    )
    assert said["price"][-1] == "The closest code in force is 4915: deck A2, record 2 of rate_decks/native/alpha-2.csv."


def test_a_price_for_a_destination_that_the_deck_only_names_is_told_with_its_code(home):
    said, facts = explained(home, "ev-named")
    since = "since 2026-09-30 22:00:00 UTC"
    assert [(code["code_name"], code["state"]) for code in facts["price"]["codes"]] == [
        ("4917", "in force"),
        ("every destination", "refused"),
    ]
    assert f"  4917, Germany mobile: 0.06 EUR for 60 s; in force {since}" in said["price"][1]
    assert said["price"][2].startswith("  every destination, Atlantis: 9 EUR for 60 s; never counts")
    assert "cannot be read: destination_name_unmapped" in said["price"][2]
    assert rated(home, "native:ev-named")["rated_cost_amount"] == Decimal("0.06")


def test_a_price_for_the_network_and_the_caller_beats_those_of_others(home):
    said, facts = explained(home, "ev-ported")
    assert "number 4917612345678, network 262 01, caller 447700900123, closest first" in said["price"][0]
    assert [(code["code_name"], code["state"]) for code in facts["price"]["codes"][:4]] == [
        ("network 262 01 from 44", "in force"),
        ("network 262 01 from 33", "other callers"),
        ("network 262 01", "in force"),
        ("4917", "in force"),
    ]
    assert said["price"][-1].startswith("The closest code in force is network 262 01 from 44: deck F1, record 4 of ")
    masked, facts = explained(home, "ev-ported", mask=True)
    assert "caller 44770090****" in masked["price"][0]


def test_an_amount_without_an_end_keeps_its_division(home):
    said, _ = explained(home, "ev-endless")
    assert said["cost"] == [
        "Usage: 0.01 x 48 / 7 = 0.068571428571... EUR.",
        "No single event is rounded: exactly 0.48 / 7, which is 0.068571428571 EUR to 12 decimals.",
        "With tax: 0.068571428571... x 1.19 = 0.0816 EUR.",
    ]


def test_an_event_that_landed_twice_names_its_records_and_the_one_that_counts(home):
    said, facts = explained(home, "ev-twice")
    assert said["event"][4] == "2 records of it landed; it counts once, by the last final word:"
    assert [("pending" in line, line.endswith("<- counts")) for line in said["event"][5:]] == [
        (True, False),
        (False, True),
    ]
    assert facts["event"]["record_number"] == RANDOM_CALLS + 6
    assert said["cost"][1] == "Connect fee: 0.012 + 0.005 = 0.017 EUR."


def test_increments_of_the_deck_that_are_rounded_one_by_one_show_both_prices(home):
    said, _ = explained(home, "ev-parts")
    assert said["quantity"][1] == "By the deck's own increments, 30/6, billed: 30 + 3 x 6 = 48 s."
    assert said["cost"] == [
        "One increment of 30 s: 0.0173 x 30 / 60 = 0.00865, rounded half up to 3 decimals: 0.009 EUR.",
        "One increment of 6 s: 0.0173 x 6 / 60 = 0.00173, rounded half up to 3 decimals: 0.002 EUR.",
        "Usage: 0.009 + 3 x 0.002 = 0.015 EUR.",
        "Rounded half up to 4 decimals: 0.015 EUR.",
    ]


def test_a_call_over_midnight_with_steps_is_shown_stretch_by_stretch(home):
    said, facts = explained(home, "ev-night")
    assert said["price"][1].startswith(
        "  33, France: 3 prices, for time bands or steps; in force since 2026-09-30 22:00:00 UTC"
    )
    assert (
        said["price"][-1]
        == "The closest code in force is 33: deck C1, records 1 to 3 of rate_decks/native/charlie-1.csv."
    )
    clock, own = "on the agreement's clock", "the deck's own increments"
    night = "every day 00:00-08:00"
    assert said["quantity"][1:] == [
        f"From 0 s on, Mon 2026-10-12 23:59:15 {clock}, record 1 counts (every day 08:00-24:00; {own}), "
        "billed: 5 x 10 = 50 s.",
        f"From 50 s on, Tue 2026-10-13 00:00:05 {clock}, record 2 counts ({night}; {own}), billed: 1 x 10 = 10 s.",
        f"From 60 s on, Tue 2026-10-13 00:00:15 {clock}, record 3 counts ({night}, from second 60; {own}), "
        "billed: 4 x 10 = 40 s.",
        "Together: 50 + 10 + 40 = 100 s.",
    ]
    assert said["cost"] == [
        "From 0 s on: 0.06 x 50 / 60 = 0.05 EUR.",
        "From 50 s on: 0.03 x 10 / 60 = 0.005 EUR.",
        "0.012 EUR for 30 s is 0.024 EUR for 60.",
        "From 60 s on: 0.024 x 40 / 60 = 0.016 EUR.",
        "Together: 0.05 + 0.005 + 0.016 = 0.071 EUR.",
        "Connect fee: 0.071 + 0.01 = 0.081 EUR.",
        "The code's maximum is 0.5 EUR, not reached.",
        "Rounded half up to 3 decimals: 0.081 EUR.",
    ]
    assert [stretch["record_number"] for stretch in facts["quantity"]["stretches"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("event", "before", "free", "usage"),
    [
        ("ev-free-1", "0 earlier events of the month have used 0 s", 40, "0.06 x 0 (40 less 40 free) / 60 = 0 EUR"),
        ("ev-free-2", "1 earlier event of the month has used 40 s", 50, "0.06 x 0 (50 less 50 free) / 60 = 0 EUR"),
        (
            "ev-free-3",
            "2 earlier events of the month have used 90 s",
            10,
            "0.06 x 20 (30 less 10 free) / 60 = 0.02 EUR",
        ),
    ],
)
def test_an_allowance_says_what_earlier_calls_of_the_month_left_of_it(home, event, before, free, usage):
    said, _ = explained(home, event)
    assert said["quantity"][-1] == f"Of the 100 s free in 2026-10, {before}; of this one {free} s are free."
    assert said["cost"][0] == f"Usage: {usage}."


def test_an_allowance_begins_anew_with_the_month_on_the_agreements_clock(home):
    said, _ = explained(home, "ev-free-4")
    assert "free in 2026-11, 0 earlier events" in said["quantity"][-1]


def test_a_failed_call_costs_the_fee_of_its_attempt_and_tax(home):
    said, facts = explained(home, "ev-failed")
    assert said["quantity"] == [
        "The agreement charges what was answered; this call ended as failed, so none of it is billed."
    ]
    assert said["cost"] == [
        "Fee of the attempt (each attempt that it does not charge otherwise): 0.002 EUR.",
        "No single event is rounded: 0.002 EUR.",
        "With tax: 0.002 x 1.1 = 0.0022 EUR.",
    ]
    assert facts["agreement"]["agreement_id"] == "echo-2026"


@pytest.mark.parametrize(
    ("event", "reason", "price"),
    [
        ("ev-nobody", "unknown_carrier", "There is no row of the decks of nobody"),
        ("ev-nowhere", "no_rate", "There is no row of the decks of alpha"),
        ("ev-early", "rate_not_yet_effective", "None of them is in force."),
    ],
)
def test_an_unrated_call_says_why_what_mends_it_and_what_is_at_risk(home, event, reason, price):
    said, facts = explained(home, event)
    assert said["price"][-1].startswith(price)
    why, remedy = UNRATED[reason]
    assert said["cost"][:2] == [f"Unrated ({reason}): {why}.", f"What would mend it: {remedy}."]
    assert said["cost"][2].startswith("Money at risk with 1 event of its kind on 2026-")
    assert facts["cost"]["group_event_count"] == 1
    assert said["charge"][0].startswith("p is charged for 60 s by plan plan-p")


def test_every_reason_that_an_event_can_have_is_said_in_words():
    glossary = (Path(__file__).parents[1] / "models" / "_glossary.md").read_text()
    (line,) = (line for line in glossary.splitlines() if "docs unrated_reason" in line)
    assert set(UNRATED) == set(re.findall(r"[a-z]+(?:_[a-z]+)+", line)) - {"unrated_reason"}


def test_numbers_are_hidden_on_demand_wherever_they_stand(home):
    said, facts = explained(home, "ev-plain", mask=True)
    assert "from 493099****, to 491511234****." in said["event"][0]
    assert "5678" not in json.dumps([said, facts])


def test_random_calls_are_explained_without_contradiction(home):
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select event_id from rate.int_events_rated where account_id = 'a' and starts_with(carrier_id, 'carrier-') "
            "order by md5(event_id) limit ?", [EXPLAINED_AT_RANDOM]
        ).fetchall()  # fmt: skip
    assert len(found) == EXPLAINED_AT_RANDOM
    for (event_id,) in found:
        said, facts = explained(home, event_id)
        if facts["cost"]["deck_row_id"] and "price" in said:
            winner = next(code for code in facts["price"]["codes"] if code["state"] == "in force")
            assert all(str(winner[name]) in said["price"][-1] for name in ("dial_code", "deck_version", "file"))


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_prints_steps_or_the_same_as_json(home):
    said, facts = explained(home, "native:ev-night")
    printed = tollgate(home, "explain", "native:ev-night")
    assert printed.returncode == 0, printed.stderr
    for sentence in sum(said.values(), ["native:ev-night"]):
        assert sentence in printed.stdout
    assert json.loads(tollgate(home, "explain", "ev-night", "--json").stdout) == facts


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            "ev-plane",
            r"there is no event, no invoice line and no entry of the ledger ev-plane; .* events are native:ev-pla",
        ),
        ("m0 anna@mail.example", r"2 feeds have an event m0 anna@mail\.example; say which one: native:.*, sendgrid:"),
        (
            "ev-refused",
            r"was not rated: record \d+ of usage/native/calls\.csv was refused \(destination_not_international",
        ),
    ],
)
def test_what_cannot_be_explained_is_said_with_the_way_on(home, event, message):
    with pytest.raises(explain.NotExplained, match=message):
        explain.explain(home / "warehouse" / "tollgate.duckdb", event)


def test_an_unknown_event_is_a_wrong_call_and_a_busy_warehouse_a_failed_one(home, tmp_path):
    unknown = tollgate(home, "explain", "ev-lost")
    assert (
        unknown.returncode == 2
        and "there is no event, no invoice line and no entry of the ledger ev-lost" in unknown.stderr
    )
    nothing = tollgate(tmp_path, "explain", "ev-lost")
    assert nothing.returncode == 2 and "holds no warehouse yet" in nothing.stderr
    with only_run(Home(home)):
        busy = tollgate(home, "explain", "ev-plain")
    assert busy.returncode == 1 and "another run holds the warehouse" in busy.stderr


def test_a_rating_that_its_own_models_do_not_give_is_a_loud_defect(home, tmp_path):
    tampered = tmp_path / "home"
    shutil.copytree(home, tampered)
    with duckdb.connect(str(tampered / "warehouse" / "tollgate.duckdb")) as connection:
        connection.execute(
            "update rate.int_events_rated set rated_cost_amount = 0.07 where event_id = 'native:ev-plain'"
        )
    printed = tollgate(tampered, "explain", "ev-plain")
    assert printed.returncode == 1
    assert "THIS DOES NOT AGREE" in printed.stdout
    assert "rated_cost_amount of rate.int_events_rated is 0.07; the models say 0.08" in printed.stdout


# --- what an event that never was would cost ------------------------------------------------------------------------


def question(number: str, at: str, known_at: str, seconds: object = 47, **more: object) -> price.Question:
    times = {"at": datetime.fromisoformat(at), "known_at": datetime.fromisoformat(known_at)}
    asked = {"number": number, "service": "voice", "direction": "outbound", "quantity": Decimal(str(seconds))}
    return price.Question(**asked | times | more)


def test_a_price_is_what_an_event_costs(home):
    """Of every charged call that needed no allowance: the same call, asked for, has the same price."""
    warehouse = home / "warehouse" / "tollgate.duckdb"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        events = connection.execute("""
            select events.carrier_id, destination, origin, mcc, mnc, events.quantity, events.started_at::varchar,
                rated.rated_cost_amount
            from stage.int_events_deduplicated as events join rate.int_events_rated as rated using (event_id)
            where rating_status = 'rated' and events.event_status = 'answered' and events.is_final_attempt
                and events.service = 'voice' and events.carrier_id != 'delta'
            order by event_id like 'native:ev-%' desc, hash(event_id) limit 16""").fetchall()
    assert len(events) == 16
    for carrier, number, caller, mcc, mnc, seconds, at, cost in events:
        asked = question(number, at, "2030-01-01", seconds, caller=caller, mcc=mcc, mnc=mnc)
        (found,) = [one for one in explain.prices(warehouse, asked) if one.carrier_id == carrier]
        assert (found.cost_amount, found.unrated_reason) == (cost, None), (carrier, number, at)
        assert explain.explain_price(warehouse, asked, carrier).defects == []


def test_what_was_received_later_is_not_looked_at(home):
    warehouse = home / "warehouse" / "tollgate.duckdb"
    told = {}
    for known_at in ("2026-09-01", "2026-10-09", "2026-10-11"):
        asked = question("4915112345678", "2026-10-12T08:00", known_at)
        (told[known_at],) = [one for one in explain.prices(warehouse, asked) if one.carrier_id == "alpha"]
    assert [(one.code_name, one.deck_version, one.cost_amount) for one in told.values()] == [
        (None, None, None),
        ("49151", "A1", Decimal("0.096")),
        ("4915", "A2", Decimal("0.08")),
    ]
    assert told["2026-09-01"].unrated_reason == "no_rate_deck"
    steps = explain.explain_price(warehouse, question("4915112345678", "2026-10-12T08:00", "2026-10-09"), "alpha")
    (codes,) = [step.facts["codes"] for step in steps.steps if step.name == "price"]
    assert {code["deck_version"] for code in codes} == {"A1"}
    assert steps.steps[0].sentences[1] == "By the decks that had been received by 2026-10-09 00:00:00 UTC."


def test_the_command_tells_all_carriers_or_one_and_what_is_asked_wrongly(home):
    asked = ("price", "+49 151 12345678", "--at", "2026-10-12T10:00+02:00", "--quantity", "47")
    table = tollgate(home, *asked)
    assert table.returncode == 0, table.stderr
    assert re.search(r"alpha +4915 +Germany Mobile +0\.1 / 60 s +48 s +0\.08 EUR", table.stdout)
    assert "bravo: no price (no_rate)" in table.stdout
    told = json.loads(tollgate(home, *asked, "--json").stdout)
    assert told["question"]["at"] == "2026-10-12T08:00:00Z"
    assert {one["carrier_id"]: one["cost_amount"] for one in told["prices"]}["alpha"] == "0.08"
    steps = tollgate(home, *asked, "--carrier", "alpha", "--as-of", "2026-10-09")
    assert steps.returncode == 0 and "Usage: 0.12 x 48 / 60 = 0.096 EUR." in steps.stdout
    for arguments, message in (
        (("price", "12ab"), "is no number"),
        (("price",), "is for a number"),
        (("price", "4930", "--service", "sms"), "no carrier has terms for sms outbound"),
        (("price", "4930", "--carrier", "nobody"), "nobody has no terms for voice outbound"),
        (("price", "4930", "--at", "yesterday"), "is no instant"),
        (("price", "4930", "--quantity", "much"), "is no number"),
    ):
        refused = tollgate(home, *arguments)
        assert refused.returncode == 2 and message in refused.stderr, arguments
