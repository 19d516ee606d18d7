"""Rating against a calculator that knows nothing of SQL: random events on random decks and agreements.

The calculator below walks each call increment by increment on the wall clock, with exact fractions, as a person with a
pencil would; the models rate the same files as always. Every event must come out alike, to the last digit.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from conformance.calls import FAMILIES, rate
from conformance.harness import CASES, read_cases, run
from conformance.home import Files

EVENTS = 20_000
SEED = 20261025
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIRST_DAY = date(2026, 10, 20)  # clocks go back on the 25th in Europe, on the 1st of November in America
READ_EVENTS = """
select
    event_id, rating_status, unrated_reason, billed_quantity, rated_cost_amount, rated_cost_including_tax_amount,
    dial_code, mcc, mnc, origin_code
from {{ ref('int_events_rated') }} as events
left join {{ ref('int_rate_decks_resolved') }} as decks
    on events.deck_row_id = decks.deck_row_id
"""


# --- the calculator -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Price:
    """One row of a deck."""

    days: tuple[str, ...]
    from_minute: int
    until_minute: int
    from_second: int
    rate: Decimal
    per: int
    increment: int
    minimum: int
    connect_fee: Decimal
    maximum: Decimal | None

    def counts_at(self, moment: datetime, second: int) -> bool:
        minute = Fraction(moment.hour * 3600 + moment.minute * 60 + moment.second, 60)
        return (
            DAYS[moment.weekday()] in self.days
            and self.from_minute <= minute < self.until_minute
            and self.from_second <= second
        )


class Code(NamedTuple):
    """Whose price it is: calls to a number or a network, of all callers or of some."""

    digits: str = ""
    mcc: str | None = None
    mnc: str | None = None
    origin: str = ""

    def leads_to(self, call: "Call") -> bool:
        if self.mcc is None:
            return call.number.startswith(self.digits)
        return self.mcc == call.mcc and self.mnc in (None, call.mnc)

    def comes_from(self, call: "Call") -> bool:
        return not self.origin or (call.origin.isdigit() and call.origin.startswith(self.origin))

    def closeness(self) -> tuple:
        return self.mnc is not None, self.mcc is not None, len(self.digits), len(self.origin)


@dataclass
class Deck:
    """One file of a carrier: the codes with their prices, None for a closed one."""

    is_full: bool
    effective: date
    received: datetime
    codes: dict[Code, list[Price] | None]


@dataclass
class Agreement:
    """A carrier's agreement and decks."""

    carrier: str
    currency: str
    zone: str
    rounding: str
    event_decimals: int | None
    tax: Decimal
    method: str
    quantity_rounding: str
    increment_rounding: tuple[str, int] | None
    free: int
    attempt_fee: Decimal
    attempt_scope: str
    decks: list[Deck] = field(default_factory=list)

    def applies_from(self, deck: Deck) -> datetime:
        midnight = datetime.combine(deck.effective, datetime.min.time(), ZoneInfo(self.zone))
        return max(midnight.astimezone(UTC), deck.received)

    def prices_of(self, call: "Call") -> list[Price] | str:
        """The prices of the closest code in force, or why there is none."""
        in_force: dict[Code, list[Price]] = {}
        to_come: list[Code] = []
        for deck in sorted(self.decks, key=self.applies_from):
            if self.applies_from(deck) > call.started:
                to_come += [code for code, prices in deck.codes.items() if prices is not None]
                continue
            if deck.is_full:
                in_force.clear()
            for code, prices in deck.codes.items():
                in_force.pop(code, None)
                if prices is not None:
                    in_force[code] = prices
        leading_there = [code for code in in_force if code.leads_to(call)]
        if codes := [code for code in leading_there if code.comes_from(call)]:
            return in_force[max(codes, key=Code.closeness)]
        if any(code.leads_to(call) and code.comes_from(call) for code in to_come):
            return "rate_not_yet_effective"
        return "no_rate_for_that_origin" if leading_there else "no_rate"


@dataclass(frozen=True)
class Call:
    """What the switch counted."""

    event_id: str
    agreement: Agreement
    number: str
    origin: str
    mcc: str | None
    mnc: str | None
    started: datetime
    seconds: Decimal
    is_answered: bool
    is_final: bool


def rounded(amount: Fraction, mode: str, decimals: int) -> Fraction:
    units = amount * 10**decimals
    whole, rest = divmod(units, 1)
    up = {
        "half_up": rest >= Fraction(1, 2),
        "half_even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
        "up": rest > 0,
        "down": False,
    }[mode]
    return Fraction(whole + up, 10**decimals)


def increments_of(call: Call) -> list[tuple[int, Price]] | str:
    """Length and price of each increment, in order; the reason where one of them has no price."""
    agreement = call.agreement
    prices = agreement.prices_of(call)
    if isinstance(prices, str):
        return prices
    seconds = Fraction(call.seconds)
    if agreement.quantity_rounding != "none":
        seconds = rounded(seconds, agreement.quantity_rounding, 0)
    if agreement.method == "whole_duration":
        (price,) = prices
        if seconds <= price.minimum:
            return [(price.minimum, price)] if seconds else []
        return [(price.increment, price)] * -(-seconds // price.increment)
    laid, reached = [], 0
    while reached < seconds:
        moment = (call.started + timedelta(seconds=reached)).astimezone(ZoneInfo(agreement.zone))
        found = [price for price in prices if price.counts_at(moment, reached)]
        if not found:
            return "no_rate_at_that_time"
        price = max(found, key=lambda price: price.from_second)
        length = price.minimum if reached == 0 and price.minimum else price.increment
        laid.append((length, price))
        reached += length
    return laid


def calculated(calls: list[Call]) -> dict[str, tuple]:
    """Status, billed seconds, cost and cost with tax of each call, or the reason why it cannot be rated."""
    left: dict[tuple, int] = {}
    results: dict[str, tuple] = {}
    for call in sorted(calls, key=lambda call: (call.started, call.event_id)):
        agreement = call.agreement
        laid = increments_of(call) if call.is_answered else []
        if isinstance(laid, str):
            results[call.event_id] = ("unrated", laid)
            continue
        month = call.started.astimezone(ZoneInfo(agreement.zone)).strftime("%Y-%m")
        allowance = left.setdefault((agreement.carrier, month), agreement.free)
        usage = Fraction(0)
        for length, price in laid:
            charged = length - min(length, allowance)
            allowance -= length - charged
            amount = Fraction(price.rate) * charged / price.per
            usage += rounded(amount, *agreement.increment_rounding) if agreement.increment_rounding else amount
        left[agreement.carrier, month] = allowance
        cost = Fraction(0)
        if laid:
            start = laid[0][1]
            cost = Fraction(start.connect_fee) + usage
            cost = cost if start.maximum is None else min(cost, Fraction(start.maximum))
        is_due = {"every_attempt": True, "final_attempt": call.is_final, "failed_attempt": not call.is_answered}
        fee = Fraction(agreement.attempt_fee) if is_due[agreement.attempt_scope] else Fraction(0)
        if not call.is_answered and not fee:
            results[call.event_id] = ("not_charged", None, None, None)
            continue
        decimals = 12 if agreement.event_decimals is None else agreement.event_decimals
        results[call.event_id] = (
            "rated",
            sum(length for length, _ in laid),
            rounded(cost + fee, agreement.rounding, decimals),
            rounded((cost + fee) * (1 + Fraction(agreement.tax)), agreement.rounding, decimals),
        )
    return results


# --- chance ---------------------------------------------------------------------------------------------------------


def random_prices(dice: random.Random, agreement: Agreement) -> list[Price]:
    """One price, or one for each band and step; sometimes a part of the week has none."""
    fee = Decimal(dice.choice(["0", "0", "0.01", "0.05"]))
    maximum = dice.choice([None, None, Decimal("0.5"), Decimal("2")])
    minimum = dice.choice([0, 0, 1, 30, 60])
    is_plain = agreement.method == "whole_duration" or dice.random() < 0.6
    weeks = [DAYS] if is_plain or dice.random() < 0.4 else [DAYS[:5], DAYS[5:]]
    hours = [(0, 1440)] if is_plain or dice.random() < 0.4 else [(0, 480), (480, 1080), (1080, 1440)]
    steps = [0] if is_plain or dice.random() < 0.4 else sorted({0, *dice.sample([1, 10, 60, 90, 600], 2)})
    prices = [
        Price(
            days=days,
            from_minute=begin,
            until_minute=end,
            from_second=step,
            rate=Decimal(dice.randint(0, 50_000_000)).scaleb(-8),
            per=dice.choice([1, 60, 60, 30]),
            increment=dice.choice([1, 6, 18, 30, 60]),
            minimum=minimum,
            connect_fee=fee,
            maximum=maximum,
        )
        for days in weeks
        for begin, end in hours
        for step in steps
    ]
    if len(prices) > 3 and dice.random() < 0.2:
        gone = dice.choice(prices)
        prices = [price for price in prices if (price.days, price.from_minute) != (gone.days, gone.from_minute)]
    return prices


NETWORKS = [(mcc, mnc) for mcc in ("262", "310") for mnc in (None, "01", "001", "1")]


def random_codes(dice: random.Random, has_networks: bool, has_origins: bool) -> list[Code]:
    """What a file prices: some numbers, some networks, some of them for some callers alone or at other prices."""
    numbers = ["1", "12", "4", "44", "447", "4477", "49", "491", "33", "336", ""]
    codes = [Code(digits) for digits in dice.sample(numbers, dice.randint(3, 8))]
    if has_networks:
        codes += [Code(mcc=mcc, mnc=mnc) for mcc, mnc in dice.sample(NETWORKS, dice.randint(1, 5))]
    if has_origins:
        for code in [code for code in codes if dice.random() < 0.6]:
            codes += [code._replace(origin=origin) for origin in dice.sample(["4", "40", "44", "447", "1", "33"], 2)]
            if dice.random() < 0.6:
                codes.remove(code)
    return codes


def random_agreement(dice: random.Random, number: int) -> Agreement:
    rounding = dice.choice([None, None, ("half_up", 4), ("half_even", 3), ("up", 3), ("down", 5)])
    agreement = Agreement(
        carrier=f"carrier-{number:02}",
        currency=dice.choice(["EUR", "JPY", "KWD", "USD"]),
        zone=dice.choice(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
        rounding=dice.choice(["half_up", "half_even", "up", "down"]),
        event_decimals=dice.choice([None, 0, 2, 4, 12]),
        tax=Decimal(dice.choice(["0", "0.19", "0.077"])),
        method=dice.choice(["residual", "residual", "whole_duration"]),
        quantity_rounding=dice.choice(["none", "up", "half_up"]),
        increment_rounding=rounding,
        free=0 if rounding else dice.choice([0, 0, 500, 20_000]),
        attempt_fee=Decimal(dice.choice(["0", "0", "0.003"])),
        attempt_scope=dice.choice(["every_attempt", "final_attempt", "failed_attempt"]),
    )
    has_networks, has_origins = [(False, True), (False, False), (True, False), (True, True)][number % 4]
    for step, is_full in enumerate([True, False, False, True, False]):
        effective = FIRST_DAY + timedelta(days=3 * step - 1)
        delay = dice.choice([-10, -10, 1])  # days: before its day, or too late for it
        received = datetime.combine(effective, datetime.min.time(), UTC) + timedelta(days=delay, hours=7, minutes=step)
        agreement.decks.append(
            Deck(
                is_full,
                effective,
                received,
                {
                    code: None if not is_full and dice.random() < 0.3 else random_prices(dice, agreement)
                    for code in random_codes(dice, has_networks, has_origins)
                },
            )
        )
    return agreement


def random_call(dice: random.Random, number: int, agreements: list[Agreement]) -> Call:
    seconds = dice.choice([dice.randint(0, 130), dice.randint(0, 1500), Decimal(dice.randint(0, 200_000)).scaleb(-3)])
    beginning = dice.choice(["1", "12", "12", "4", "44", "447", "4477", "49", "491", "33", "336", "8"])
    origin = dice.choice(["44", "447", "49", "1", "12", "33", "40", "8"]) + str(dice.randint(10_000_000, 99_999_999))
    mcc, mnc = dice.choice([*NETWORKS, ("208", "01"), (None, None), (None, None)])
    return Call(
        event_id=f"e{number:05}",
        agreement=dice.choice(agreements),
        number=beginning + str(dice.randint(10_000_000, 99_999_999)),
        origin=dice.choice([origin, origin, origin, "4", "44ACME", ""]),
        mcc=mcc,
        mnc=mnc,
        started=datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
        + timedelta(seconds=dice.randint(0, 16 * 86_400 - 1)),
        seconds=Decimal(seconds),
        is_answered=dice.random() < 0.85,
        is_final=dice.random() < 0.7,
    )


def written(agreements: list[Agreement], calls: list[Call]) -> Files:
    """The same as files of terms, decks and usage."""
    files = Files()
    for one in agreements:
        mode, decimals = one.increment_rounding or (None, None)
        common = {"agreement_id": one.carrier, "service": "voice", "direction": "outbound"}
        files.rows["parties"].append({"party_id": one.carrier, "party_name": one.carrier, "country_code": "DE",
                                      "is_carrier": "true", "is_partner": "false"})  # fmt: skip
        files.rows["agreements"].append(
            {"agreement_id": one.carrier, "party_id": one.carrier, "party_role": "carrier", "payment_days": 30,
             "valid_from_date": "2020-01-01", "currency": one.currency, "time_zone": one.zone, "tax_ratio": one.tax,
             "rounding_mode": one.rounding, "event_rounding_decimals": one.event_decimals,
             "line_rounding_decimals": 2})  # fmt: skip
        files.rows["rating_terms"].append(
            common
            | {"quantity_unit": "second", "minimum_quantity": 0, "increment_quantity": 1, "charged_on": "answered",
               "increment_method": one.method, "quantity_rounding": one.quantity_rounding, "free_quantity": one.free,
               "increment_rounding_mode": mode, "increment_rounding_decimals": decimals,
               "attempt_fee_amount": one.attempt_fee, "attempt_fee_scope": one.attempt_scope})  # fmt: skip
        for version, deck in enumerate(one.decks):
            for code, prices in deck.codes.items():
                row = {"carrier_id": one.carrier, "service": "voice", "direction": "outbound",
                       "dial_code": code.digits, "mcc": code.mcc, "mnc": code.mnc, "origin_code": code.origin,
                       "deck_version": version, "deck_kind": "full" if deck.is_full else "amendment",
                       "received_at": deck.received.strftime("%Y-%m-%dT%H:%M:%SZ"), "effective_date": deck.effective,
                       "destination_name": f"to {code.digits or code.mcc}", "rate_currency": one.currency}  # fmt: skip
                if prices is None:
                    files.rows["decks"].append(row | {"change_type": "closed"})
                for price in prices or []:
                    files.rows["decks"].append(
                        row
                        | {"rate_amount": f"{price.rate:f}", "rate_per_quantity": price.per, "rate_unit": "second",
                           "connect_fee_amount": price.connect_fee, "minimum_quantity": price.minimum,
                           "increment_quantity": price.increment, "maximum_amount": price.maximum,
                           "days": " ".join(price.days), "starts_at": hour(price.from_minute),
                           "ends_at": hour(price.until_minute), "from_quantity": price.from_second})  # fmt: skip
    for call in calls:
        at = call.started.strftime("%Y-%m-%dT%H:%M:%SZ")
        files.rows["usage"].append(
            {"event_id": call.event_id, "service": "voice", "direction": "outbound", "account_id": "a",
             "carrier_id": call.agreement.carrier, "origin": call.origin, "destination": call.number,
             "mcc": call.mcc, "mnc": call.mnc, "started_at": at, "received_at": at,
             "status": "answered" if call.is_answered else "busy", "quantity": f"{call.seconds:f}",
             "quantity_unit": "second", "is_final_attempt": str(call.is_final).lower()})  # fmt: skip
    return files


def hour(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# --- tests ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def month() -> tuple[list[Call], dict[str, dict]]:
    """Calls, and what the models say of each."""
    dice = random.Random(SEED)
    agreements = [random_agreement(dice, number) for number in range(24)]
    calls = [random_call(dice, number, agreements) for number in range(EVENTS)]
    found = rate(written(agreements, calls), READ_EVENTS)
    return calls, {row["event_id"].partition(":")[2]: row for row in found}


def test_each_of_20_000_random_events_costs_what_a_person_with_a_pencil_finds(month):
    calls, found = month
    expected = calculated(calls)
    assert len(found) == EVENTS
    different = []
    for call in calls:
        row = found[call.event_id]
        told = (row["rating_status"], row["unrated_reason"])
        if row["rating_status"] != "unrated":
            amounts = (row["rated_cost_amount"], row["rated_cost_including_tax_amount"])
            told = (
                row["rating_status"],
                row["billed_quantity"],
                *(None if a is None else Fraction(a) for a in amounts),
            )
        if told != expected[call.event_id]:
            different.append((call.event_id, told, expected[call.event_id]))
    assert not different, f"{len(different)} of {EVENTS}, such as {different[:5]}"
    # Chance has put enough into every corner.
    kinds = Counter(found[0] for found in expected.values())
    reasons = Counter(found[1] for found in expected.values() if found[0] == "unrated")
    assert len(kinds) == 3 and min(kinds.values()) >= 500
    assert len(reasons) == 4 and min(reasons.values()) >= 50


def test_every_rated_event_points_to_the_code_of_the_deck_that_priced_it(month):
    calls, found = month
    priced_by: Counter[tuple] = Counter()
    for call in calls:
        row = found[call.event_id]
        if row["rating_status"] == "rated" and row["billed_quantity"]:
            code = Code(row["dial_code"], row["mcc"], row["mnc"], row["origin_code"] or "")
            assert code.leads_to(call) and code.comes_from(call)
            priced_by[code.mnc is not None, code.mcc is not None, code.origin != ""] += 1
    assert len(priced_by) == 6 and min(priced_by.values()) >= 50  # each kind of code, with and without an origin


def test_every_public_case_of_calls_comes_out_of_the_models_exactly():
    cases = read_cases(CASES, FAMILIES)
    failed = {case_id: found for case_id, found in run(cases).items() if found}
    assert len(cases) >= 63 and not failed
