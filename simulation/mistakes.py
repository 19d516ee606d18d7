"""Carriers that each make one known mistake, or two at a time: the months on which the variance bridge is judged.

Belongs here: terms, decks, calls and invoices of these carriers, the slow arithmetic that bills them, and the truth
about each line. It shares no code with the models. Does not belong here: the demo month (`month`), running the models
and counting what they found (`evaluate`).

An invoice names destinations as the deck does, or is of another grain (`GRAINS`): then its lines, and the truth about
them, are by the carrier's own names, dial codes, days, the service, or no more than a total.

A carrier bills as its `Billing` says. The truth about a line is the walk from the agreement's billing to the
carrier's, one attribute after the other in the order of the bridge; a cause is worth the difference of two rounded
amounts. Duplicates, phantoms, fees and amounts that nobody can explain are laid on the finished invoice.
"""

import csv
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

from simulation import invoices
from simulation.decks import COLUMNS as DECK_COLUMNS
from simulation.terms import Month
from simulation.usage import COLUMNS as USAGE_COLUMNS

INVOICE_COLUMNS = (*invoices.INVOICE_COLUMNS[:-1], "dial_code", invoices.INVOICE_COLUMNS[-1])
GRAINS = ("by_own_name", "by_code", "by_day", "by_service", "by_total")
COUNTRIES = (
    ("49", "Germany"), ("33", "France"), ("34", "Spain"), ("39", "Italy"), ("44", "United Kingdom"),
    ("81", "Japan"), ("965", "Kuwait"), ("48", "Poland"),
)  # fmt: skip
LINE_DECIMALS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
PRICE_OF_A_MINUTE = {"EUR": 0.1, "USD": 0.11, "JPY": 16.0, "KWD": 0.033}
AGREED_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kuwait")
CARRIER_ZONES = (
    "UTC", "Europe/Rome", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Riyadh", "Asia/Singapore",
    "America/Sao_Paulo", "Asia/Kolkata", "Australia/Sydney",
)  # fmt: skip
INCREMENTS = ((1, 1), (6, 6), (30, 6), (60, 1), (60, 60))
UNANSWERED = ("no_answer", "busy", "failed", "cancelled")
AMENDED_ON_DAY = 15
PORT_FEE = Decimal("45")


@dataclass(frozen=True)
class Rounding:
    """What is rounded before the line, to how many decimals."""

    mode: str
    event_decimals: int | None = None
    increment_decimals: int | None = None


@dataclass(frozen=True)
class Billing:
    """How usage becomes lines. `dropped_code` is a dial code that the carrier does not know, `left_out` a destination
    and a day, `factors` are slips of the decimal point by line, `billed_statuses` those beside answered.
    """

    zone: ZoneInfo
    minimum: int
    increment: int
    rounding: Rounding
    first_day_shift: int = 0
    dropped_code: str | None = None
    left_out: tuple[str, int, date] | None = None
    carrier_increments: tuple[int, int] | None = None
    increments_since: date | None = None
    frozen_before: date | None = None
    factors: tuple[tuple[tuple[str, int], int], ...] = ()
    billed_statuses: tuple[str, ...] = ()


STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("TIMEZONE", ("zone",)),
    ("PERIOD", ("first_day_shift",)),
    ("DIAL_CODE", ("dropped_code",)),
    ("VOLUME", ("left_out",)),
    ("INCREMENT", ("carrier_increments", "increments_since")),
    ("ROUNDING", ("rounding",)),
    ("RATE", ("frozen_before", "factors")),
    ("STATUS", ("billed_statuses",)),
)


@dataclass(frozen=True)
class Call:
    number: str
    started_at: datetime
    status: str
    seconds: int


@dataclass
class Line:
    """A line as it is invoiced, and its truth: what each cause adds. `place` is destination or dial code, and interval,
    or no destination and the day of the month; `number` is None where the carrier left it out.
    """

    line_type: str
    place: tuple[str, int] = ("", 0)
    events: int = 0
    quantity: int = 0
    rate: Decimal | None = None
    rated: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    causes: dict[str, Decimal] = field(default_factory=dict)
    number: int | None = None
    invoice: int = 1

    def add(self, cause: str, amount: Decimal) -> None:
        if amount:
            self.causes[cause] = self.causes.get(cause, Decimal(0)) + amount


class Carrier:
    """One carrier: its agreement, deck, calls and invoice."""

    def __init__(self, carrier_id: str, kinds: tuple[str, ...], month: Month, calls: int, rng: random.Random) -> None:
        self.carrier_id, self.kinds, self.month, self.rng = carrier_id, kinds, month, rng
        self.grain = next((kind for kind in kinds if kind in GRAINS), None)
        self.currency = rng.choice(list(LINE_DECIMALS))
        self.line_decimals = LINE_DECIMALS[self.currency]
        self.mode = rng.choice(("half_up", "half_even", "down"))
        self.tax_ratio = Decimal(rng.choice(("0", "0.19"))) if "tax" not in kinds else Decimal("0.19")
        zone = ZoneInfo(rng.choice(AGREED_ZONES))
        minimum, increment = rng.choice(INCREMENTS)
        decimals = rng.choice((None, self.line_decimals + 2, self.line_decimals + 3))
        self.agreed = Billing(zone, minimum, increment, Rounding(self.mode, decimals))
        self.splits_lines = rng.random() < 0.5
        self.is_corrected = "restated" in kinds
        self._make_deck()
        self.calls = [self._call() for _ in range(calls)]
        self.carrier = self.agreed
        self.extras: list[Callable[[list[Line]], None]] = []
        for kind in kinds:
            if kind not in GRAINS:
                KINDS[kind](self)
        self.own_names = self._own_names() if self.grain == "by_own_name" else {}
        self.lines = self._lines()

    # --- deck and calls

    def _make_deck(self) -> None:
        """Codes with their destination; three versions of the rates, each from its day on."""
        self.codes = {}
        for code, country in COUNTRIES:
            self.codes[code] = country
            self.codes[code + "15"] = f"{country} Mobile"
            if self.grain == "by_code":
                self.codes[code + "16"] = f"{country} Mobile"
            if self.rng.random() < 0.4:
                self.codes[code + "157"] = f"{country} Mobile Other"
        scale = PRICE_OF_A_MINUTE[self.currency]
        decimals = self.line_decimals + 3

        def rate() -> Decimal:
            return round(Decimal(scale * self.rng.uniform(0.2, 4)), decimals)

        names = list(dict.fromkeys(self.codes.values()))
        dear = {name for name in names if self.rng.random() < 0.15}
        self.fees = {name: round(Decimal(scale / 10), decimals) if name in dear else Decimal(0) for name in names}
        before = {name: rate() for name in names}
        current = {name: rate() for name in names}
        amended = {name: rate() for name in names if self.rng.random() < 0.5}
        first, changed = self.month.first, self.month.days[AMENDED_ON_DAY - 1]
        self.versions = [
            (self.month.previous_first, "full", before),
            (first, "full", current),
            (changed, "amendment", amended),
        ]
        self.amended = set(amended)

    def rate(self, name: str, started_at: datetime, frozen_before: date | None) -> Decimal:
        found = None
        for effective, _, rates in self.versions:
            starts = datetime(effective.year, effective.month, effective.day, tzinfo=self.agreed.zone)
            if name in rates and starts <= started_at and (frozen_before is None or effective < frozen_before):
                found = rates[name]
        return found

    def _call(self) -> Call:
        code = self.rng.choices(list(self.codes), weights=[1 + 6 // (n + 1) for n in range(len(self.codes))])[0]
        while True:
            number = code + "".join(self.rng.choice("0123456789") for _ in range(11 - len(code)))
            if self.code_of(number, None) == code:
                break
        first = datetime(self.month.first.year, self.month.first.month, 1, tzinfo=UTC) - timedelta(days=4)
        seconds = (len(self.month.days) + 6) * 86_400
        started_at = first + timedelta(seconds=self.rng.randrange(seconds))
        if self.rng.random() < 0.62:
            return Call(number, started_at, "answered", max(1, round(self.rng.lognormvariate(4.2, 1.1))))
        return Call(number, started_at, self.rng.choice(UNANSWERED), 0)

    def code_of(self, number: str, dropped_code: str | None) -> str:
        return max((code for code in self.codes if number.startswith(code) and code != dropped_code), key=len)

    def intervals(self, name: str) -> int:
        return 2 if self.splits_lines and name in self.amended else 1

    def place(self, code: str, day: date) -> tuple[str, int]:
        """Of a call: what its line is about."""
        if self.grain == "by_day":
            return "", (day - self.month.first).days
        if self.grain in ("by_service", "by_total"):
            return "", 0
        name = self.codes[code]
        late = self.intervals(name) == 2 and day >= self.month.days[AMENDED_ON_DAY - 1]
        return code if self.grain == "by_code" else name, int(late)

    def name_of(self, place: tuple[str, int]) -> str:
        return self.codes[place[0]] if self.grain == "by_code" and place[0] in self.codes else place[0]

    def days_of(self, place: tuple[str, int]) -> tuple[date, date]:
        days = self.month.days
        if self.grain == "by_day" and not place[0]:
            return days[place[1]], days[place[1]]
        if self.intervals(self.name_of(place)) == 1:
            return days[0], days[-1]
        return (days[0], days[AMENDED_ON_DAY - 2]) if place[1] == 0 else (days[AMENDED_ON_DAY - 1], days[-1])

    def billed_names(self) -> set[str]:
        """Destinations of what the agreement charges in the month."""
        days = self.month.days
        return {
            self.codes[self.code_of(call.number, None)]
            for call in self.calls
            if call.status == "answered" and days[0] <= call.started_at.astimezone(self.agreed.zone).date() <= days[-1]
        }

    def _own_names(self) -> dict[str, tuple[str, str]]:
        """The carrier's name of each destination, and how it can be known: from the terms (stored_name), since it is
        like ours (likeness), or not at all (unmapped), which is true of two.
        """
        rng = random.Random(f"names of {self.carrier_id}")
        whole = sorted(name for name in self.billed_names() if self.intervals(name) == 1)
        unmapped = rng.sample(whole, min(2, len(whole)))
        names = {}
        for number, name in enumerate(dict.fromkeys(self.codes.values())):
            country, *rest = name.split(" Mobile")
            likes = (
                f"{name.upper()}.",
                name.replace("Mobile", "Mob.").replace(" ", "-") if rest else f"{name} (Fixed)",
                f"Mobile {country}{''.join(rest)}" if rest else f"{name} proper",
            )
            if name in unmapped:
                names[name] = f"Zone {chr(ord('A') + number)}{number * 37 + 11}", "unmapped"
            elif rng.random() < 0.5:
                names[name] = f"Tariff item {number * 53 + 17}", "stored_name"
            else:
                names[name] = rng.choice(likes), "likeness"
        return names

    # --- billing

    def bill(self, billing: Billing) -> dict[tuple[str, int], tuple[int, int, Decimal]]:
        """Events, quantity and amount of each line."""
        sums: dict[tuple[str, int], list] = defaultdict(lambda: [0, 0, Fraction(0)])
        first, last = self.month.days[0] + timedelta(days=billing.first_day_shift), self.month.days[-1]
        for call in self.calls:
            if call.status != "answered" and call.status not in billing.billed_statuses:
                continue
            day = call.started_at.astimezone(billing.zone).date()
            if not first <= day <= last:
                continue
            code = self.code_of(call.number, billing.dropped_code)
            name, place = self.codes[code], self.place(code, day)
            if billing.left_out == (*place, day):
                continue
            rate = self.rate(name, call.started_at, billing.frozen_before) * dict(billing.factors).get(place, 1)
            minimum, increment = billing.minimum, billing.increment
            if billing.carrier_increments and day >= billing.increments_since:
                minimum, increment = billing.carrier_increments
            steps = -(-max(call.seconds - minimum, 0) // increment)
            quantity = minimum + steps * increment
            cost = self._cost(rate, self.fees[name], quantity, minimum, increment, steps, billing.rounding)
            line = sums[place]
            line[0] += 1
            line[1] += quantity
            line[2] += cost
        return {
            place: (events, quantity, rounded(cost, self.line_decimals, self.mode))
            for place, (events, quantity, cost) in sums.items()
        }

    def _cost(
        self, rate: Decimal, fee: Decimal, quantity: int, minimum: int, increment: int, steps: int, rounding: Rounding
    ) -> Fraction:
        if rounding.increment_decimals is not None:
            price = [
                Fraction(rounded(Fraction(rate) * part / 60, rounding.increment_decimals, rounding.mode))
                for part in (minimum, increment)
            ]
            return price[0] + steps * price[1] + Fraction(fee)
        cost = Fraction(rate) * quantity / 60 + Fraction(fee)
        if rounding.event_decimals is None:
            return cost
        return Fraction(rounded(cost, rounding.event_decimals, rounding.mode))

    def _lines(self) -> list[Line]:
        """The invoice with its truth: usage lines from the walk, then what is laid on them."""
        billing, before = self.agreed, self.bill(self.agreed)
        agreed = before
        causes: dict[tuple[str, int], dict[str, Decimal]] = defaultdict(dict)
        for cause, attributes in STEPS:
            billing = replace(billing, **{name: getattr(self.carrier, name) for name in attributes})
            after = self.bill(billing)
            for place in before.keys() | after.keys():
                moved = after.get(place, (0, 0, Decimal(0)))[2] - before.get(place, (0, 0, Decimal(0)))[2]
                if moved:
                    causes[place][cause] = moved
            before = after
        lines = []
        for number, place in enumerate(sorted(agreed.keys() | before.keys())):
            events, quantity, amount = before.get(place, (0, 0, Decimal(0)))
            line = Line("usage", place, events, quantity, self._stated_rate(place), Decimal(0), amount)
            line.rated = agreed.get(place, (0, 0, Decimal(0)))[2]
            # Mistakes that cancel out leave a line that is right.
            line.causes = dict(causes[place]) if amount != line.rated else {}
            line.number = number + 1 if events else None
            lines.append(line)
        for extra in self.extras:
            extra(lines)
        self._hide_unmapped(lines)
        if self.tax_ratio:
            lines += [self._tax(lines, invoice) for invoice in sorted({line.invoice for line in lines if line.number})]
        for number, line in enumerate((line for line in lines if line.number is not None), 1):
            line.number = number
        return lines

    def _hide_unmapped(self, lines: list[Line]) -> None:
        """Behind a line whose name nobody knows stands nothing of ours, and its destination is on no other line."""
        for line in list(lines):
            is_usage = line.line_type == "usage" and line.number is not None and "DUPLICATE" not in line.causes
            if is_usage and self.own_names.get(line.place[0], ("", ""))[1] == "unmapped":
                if line.rated:
                    left_out = Line("usage", line.place, rated=line.rated)
                    left_out.add("MISSING_THEIRS", -line.rated)
                    lines.append(left_out)
                line.rated, line.causes = Decimal(0), {}
                line.add("MISSING_OURS", line.amount)

    def _stated_rate(self, place: tuple[str, int]) -> Decimal | None:
        """A line of many destinations has no one rate."""
        name = self.name_of(place)
        if not name:
            return None
        last = datetime.combine(self.days_of(place)[1], datetime.min.time(), tzinfo=UTC) + timedelta(hours=12)
        rate = self.rate(name, last, self.carrier.frozen_before)
        return rate * dict(self.carrier.factors).get(place, 1)

    def _tax(self, lines: list[Line], invoice: int) -> Line:
        net = sum((line.amount for line in lines if line.number and line.invoice == invoice), Decimal(0))
        expected = rounded(Fraction(net) * Fraction(self.tax_ratio), self.line_decimals, self.mode)
        line = Line("tax", rated=expected, amount=expected, number=0, invoice=invoice)
        if "tax" in self.kinds:
            line.amount = rounded(Fraction(net) * Fraction(21, 100), self.line_decimals, self.mode)
            line.add("TAX", line.amount - expected)
        line.number = 1
        return line

    def unit(self) -> Decimal:
        return Decimal(1).scaleb(-self.line_decimals)

    def busiest(self) -> list[tuple[str, int]]:
        """Lines of the agreement, the dearest first."""
        bills = self.bill(self.agreed)
        return sorted(bills, key=lambda place: (-bills[place][2], place))


def rounded(amount: Fraction, decimals: int, mode: str) -> Decimal:
    """An amount that is not negative, rounded once."""
    scaled = amount * 10**decimals
    whole, rest = scaled.numerator // scaled.denominator, scaled - scaled.numerator // scaled.denominator
    up = {
        "half_up": 2 * rest >= 1,
        "half_even": 2 * rest > 1 or (2 * rest == 1 and whole % 2 == 1),
        "up": rest > 0,
        "down": False,
    }[mode]
    return Decimal(whole + up).scaleb(-decimals)


def _sent(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.number and line.line_type == "usage"]


# --- the kinds of mistakes


def _increments(carrier: Carrier) -> None:
    theirs = carrier.rng.choice(
        [pair for pair in INCREMENTS if pair != (carrier.agreed.minimum, carrier.agreed.increment)]
    )
    since = carrier.month.days[carrier.rng.choice((0, 7, 14))]
    carrier.carrier = replace(carrier.carrier, carrier_increments=theirs, increments_since=since)


def _rounding(carrier: Carrier) -> None:
    decimals = carrier.line_decimals + carrier.rng.choice((0, 1))
    if carrier.rng.random() < 0.3:
        theirs = Rounding("up", increment_decimals=carrier.line_decimals + 2)
    else:
        theirs = Rounding("up", event_decimals=decimals)
    carrier.carrier = replace(carrier.carrier, rounding=theirs)


def _clock(carrier: Carrier) -> None:
    noon = datetime(carrier.month.first.year, carrier.month.first.month, 1, 12, tzinfo=UTC)
    agreed = noon.astimezone(carrier.agreed.zone).utcoffset()
    zones = [ZoneInfo(name) for name in CARRIER_ZONES]
    others = [zone for zone in zones if abs(noon.astimezone(zone).utcoffset() - agreed) >= timedelta(hours=3)]
    carrier.carrier = replace(carrier.carrier, zone=carrier.rng.choice(others))


def _late_period(carrier: Carrier) -> None:
    carrier.carrier = replace(carrier.carrier, first_day_shift=-carrier.rng.choice((1, 2, 3)))


def _dial_code(carrier: Carrier) -> None:
    """A whole destination goes, so that the carrier has no line for it; one that it would bill in one line."""
    billed = carrier.billed_names()
    mobiles = [code for code, name in carrier.codes.items() if code.endswith("15") and name in billed]
    whole = [code for code in mobiles if carrier.intervals(carrier.codes[code]) == 1]
    alone = [code for code in whole if code + "7" not in carrier.codes]
    carrier.carrier = replace(carrier.carrier, dropped_code=carrier.rng.choice(alone or mobiles))


def _left_out_day(carrier: Carrier) -> None:
    place = carrier.busiest()[:2][-1]
    days = sorted(
        day
        for call in carrier.calls
        if call.status == "answered"
        for day in [call.started_at.astimezone(carrier.carrier.zone).date()]
        if carrier.place(carrier.code_of(call.number, None), day)[0] == place[0]
    )
    first, last = carrier.days_of(place)
    inside = [day for day in days if first < day < last]
    busiest = max(set(inside), key=lambda day: (inside.count(day), day))
    carrier.carrier = replace(carrier.carrier, left_out=(*place, busiest))


def _old_deck(carrier: Carrier) -> None:
    frozen = carrier.month.days[carrier.rng.choice((0, AMENDED_ON_DAY - 1))]
    carrier.carrier = replace(carrier.carrier, frozen_before=frozen)


def _slip(carrier: Carrier) -> None:
    carrier.carrier = replace(carrier.carrier, factors=tuple((place, 10) for place in carrier.busiest()[2:4]))


def _unanswered(carrier: Carrier) -> None:
    carrier.carrier = replace(carrier.carrier, billed_statuses=carrier.rng.choice((UNANSWERED, ("no_answer",))))


def _duplicate(invoice: int) -> Callable[[Carrier], None]:
    def repeat(carrier: Carrier) -> None:
        def lay(lines: list[Line]) -> None:
            sent = sorted(_sent(lines), key=lambda line: -line.amount)
            copy = replace(sent[carrier.rng.randrange(min(4, len(sent)))], rated=Decimal(0), causes={}, invoice=invoice)
            copy.add("DUPLICATE", copy.amount)
            lines.append(copy)

        carrier.extras.append(lay)

    return repeat


def _phantom(carrier: Carrier) -> None:
    """Calls to a destination that nobody called."""
    carrier.codes["999"] = "Nowhere"
    carrier.fees["Nowhere"] = Decimal(0)
    rate = round(Decimal(PRICE_OF_A_MINUTE[carrier.currency]), carrier.line_decimals + 3)
    for _, kind, rates in carrier.versions:
        if kind == "full":
            rates["Nowhere"] = rate

    def lay(lines: list[Line]) -> None:
        amount = rounded(Fraction(rate) * 37 * 2, carrier.line_decimals, carrier.mode)
        line = Line("usage", ("Nowhere", 0), 37, 37 * 120, rate, Decimal(0), amount, number=1)
        line.add("MISSING_OURS", amount)
        lines.append(line)

    carrier.extras.append(lay)


def _omitted(carrier: Carrier) -> None:
    def lay(lines: list[Line]) -> None:
        sent = _sent(lines)
        whole = [line for line in sent if line.rated and carrier.intervals(carrier.name_of(line.place)) == 1]
        line = carrier.rng.choice(sorted(whole, key=lambda line: line.place)[:8])
        line.amount, line.events, line.quantity, line.number = Decimal(0), 0, 0, None
        line.causes = {"MISSING_THEIRS": -line.rated}

    carrier.extras.append(lay)


def _fee(carrier: Carrier) -> None:
    def lay(lines: list[Line]) -> None:
        line = Line("fee", amount=PORT_FEE, number=1)
        line.add("FEE", PORT_FEE)
        lines.append(line)

    carrier.extras.append(lay)


def _nameless(carrier: Carrier) -> None:
    """Amounts that nothing explains, on three lines."""

    def lay(lines: list[Line]) -> None:
        sent = _sent(lines)
        for line in carrier.rng.sample(sent, min(3, len(sent))):
            more = carrier.unit() * carrier.rng.randint(3, 400)
            line.amount += more
            line.add("RESIDUAL", more)

    carrier.extras.insert(0, lay)


KINDS: dict[str, Callable[[Carrier], None]] = {
    "increments": _increments,
    "rounding": _rounding,
    "clock": _clock,
    "late_period": _late_period,
    "dial_code": _dial_code,
    "left_out_day": _left_out_day,
    "old_deck": _old_deck,
    "slip": _slip,
    "unanswered": _unanswered,
    "duplicate": _duplicate(1),
    "duplicate_elsewhere": _duplicate(2),
    "phantom": _phantom,
    "omitted": _omitted,
    "fee": _fee,
    "tax": lambda carrier: None,
    "restated": lambda carrier: None,
    "nameless": _nameless,
}


NOT_OF_GRAIN = {
    "by_day": {"late_period", "left_out_day", "omitted"},
    "by_service": {"slip", "omitted"},
    "by_total": {"slip", "omitted"},
}
"""Mistakes that an invoice of a grain cannot make: a day that it leaves out is a line, its only line is left out."""


def cases() -> list[tuple[str, ...]]:
    """No mistake, each kind alone, each pair."""
    return [(), *((kind,) for kind in KINDS), *combinations(KINDS, 2)]


def cases_of_grain(grain: str) -> list[tuple[str, ...]]:
    """The same on invoices of another grain, as far as they can make the mistakes."""
    return [(grain, *kinds) for kinds in cases() if NOT_OF_GRAIN.get(grain, set()).isdisjoint(kinds)]


def write_carriers(
    folder: Path, drawn: Iterable[tuple[int, tuple[str, ...]]], calls: int, month: Month
) -> list[Carrier]:
    """Writes `terms/` and `landing/` of a carrier for each seed and case; returns the carriers with their truth."""
    carriers = [
        Carrier(f"carrier-{number:03}", kinds, month, calls, random.Random(f"{seed} {kinds}"))
        for number, (seed, kinds) in enumerate(drawn)
    ]
    _write_terms(folder / "terms", carriers, month)
    landing = folder / "landing"
    usage = (row for carrier in carriers for row in _usage_rows(carrier))
    write_rows(landing / "usage/native/calls.csv", USAGE_COLUMNS, usage)
    for carrier in carriers:
        for number, (effective, kind, rates) in enumerate(carrier.versions):
            name = f"{carrier.carrier_id}_{number}.csv"
            write_rows(landing / "rate_decks/native" / name, DECK_COLUMNS, _deck_rows(carrier, effective, kind, rates))
        for invoice in sorted({line.invoice for line in carrier.lines if line.number}):
            for version in (1, 2) if carrier.is_corrected else (1,):
                name = f"{carrier.carrier_id}_{invoice}_{version}.csv"
                rows = list(_invoice_rows(carrier, invoice, version))
                write_rows(landing / "carrier_invoices/native" / name, INVOICE_COLUMNS, rows)
    return carriers


def _write_terms(folder: Path, carriers: list[Carrier], month: Month) -> None:
    since = month.previous_first - timedelta(days=365)
    tables: dict[str, tuple[str, list[tuple]]] = {
        "parties": (
            "party_id,party_name,country_code,is_carrier,is_partner",
            [(carrier.carrier_id, carrier.carrier_id, "US", "true", "false") for carrier in carriers],
        ),
        "agreements": (
            "agreement_id,party_id,party_role,valid_from_date,valid_until_date,currency,time_zone,rounding_mode,"
            "event_rounding_decimals,line_rounding_decimals,tax_ratio,payment_days,increase_notice_days",
            [
                (
                    f"{carrier.carrier_id}-terms", carrier.carrier_id, "carrier", since, "", carrier.currency,
                    carrier.agreed.zone.key, carrier.mode,
                    "" if carrier.agreed.rounding.event_decimals is None else carrier.agreed.rounding.event_decimals,
                    carrier.line_decimals, carrier.tax_ratio, 30, "",
                )
                for carrier in carriers
            ],
        ),
        "rating_terms": (
            "agreement_id,service,direction,quantity_unit,minimum_quantity,increment_quantity,increment_method,charged_on,"
            "quantity_rounding,increment_rounding_mode,increment_rounding_decimals,free_quantity,attempt_fee_amount,"
            "attempt_fee_scope",
            [
                (
                    f"{carrier.carrier_id}-terms", "voice", "outbound", "second", carrier.agreed.minimum,
                    carrier.agreed.increment, "residual", "answered", "", "", "", "", "", "",
                )
                for carrier in carriers
            ],
        ),
        "destination_codes": (
            "carrier_id,destination_name,dial_code",
            [
                (carrier.carrier_id, name, code)
                for carrier in carriers
                for code, destination in carrier.codes.items()
                for name, known in [carrier.own_names.get(destination, ("", ""))]
                if known == "stored_name"
            ],
        ),
        "accounts": ("account_id,partner_id,valid_from_date,valid_until_date", []),
        "plans": (
            "plan_id,partner_id,service,direction,country_code,valid_from_date,valid_until_date,pricing_model,"
            "quantity_unit,minimum_quantity,increment_quantity,priced_per_quantity,charged_on",
            [],
        ),
        "plan_tiers": ("plan_id,tier_number,up_to_quantity,unit_amount,flat_amount", []),
        "revenue_shares": (
            "rule_id,seller_partner_id,service,beneficiary_partner_id,share_ratio,valid_from_date,valid_until_date", [],
        ),
        "routes": ("feed,route,direction,carrier_id,valid_from_date,valid_until_date", []),
        "tolerances": ("agreement_id,cause,tolerance_ratio,tolerance_amount,raise_within_days,may_withhold", []),
    }  # fmt: skip
    for name, (header, rows) in tables.items():
        write_rows(folder / f"{name}.csv", tuple(header.split(",")), rows)


def _usage_rows(carrier: Carrier) -> Iterator[tuple]:
    for number, call in enumerate(carrier.calls):
        ended = call.started_at + timedelta(seconds=call.seconds + 5)
        yield (
            f"{carrier.carrier_id}-{number}", "voice", "outbound", "somebody", carrier.carrier_id, "12025550143",
            f"+{call.number}", f"{call.started_at:%Y-%m-%dT%H:%M:%SZ}", call.status, call.seconds, "second",
            f"{ended:%Y-%m-%dT%H:%M:%SZ}",
        )  # fmt: skip


def _deck_rows(carrier: Carrier, effective: date, kind: str, rates: dict[str, Decimal]) -> Iterator[tuple]:
    received = f"{effective - timedelta(days=20)}T09:00:00Z"
    for code, name in carrier.codes.items():
        if name in rates:
            yield (
                carrier.carrier_id, "voice", "outbound", f"{effective}-{kind}", kind, received, effective, code, name,
                "", rates[name], carrier.currency, 60, "second", carrier.fees[name] or "",
            )  # fmt: skip


def _invoice_rows(carrier: Carrier, invoice: int, version: int) -> Iterator[tuple]:
    lines = [line for line in carrier.lines if line.number is not None and line.invoice == invoice]
    if carrier.is_corrected and version == 1:
        lines = lines[::2]
    total = sum((line.amount for line in lines), Decimal(0))
    issued = carrier.month.next_first + timedelta(days=invoice + version)
    for line in lines:
        usage, code = ("", "", "", "", "", "", "", "", "", ""), ""
        if line.line_type == "usage":
            first, last = carrier.days_of(line.place)
            service, name = ("voice", "outbound"), carrier.own_names.get(line.place[0], line.place)[0]
            measures = (line.events, line.quantity, "second", *((line.rate, 60) if line.rate is not None else ("", "")))
            if carrier.grain == "by_code" and line.place[0] in carrier.codes:
                name, code = "", line.place[0]
            if carrier.grain == "by_total" and not line.place[0]:
                service, measures = ("", ""), ("", "", "", "", "")
            usage = (*service, name, first, last, *measures)
        yield (
            carrier.carrier_id, f"I-{invoice}", version, issued, carrier.month.first, carrier.currency, line.number,
            line.line_type, *usage, line.amount, "", code, total,
        )  # fmt: skip


def write_rows(path: Path, header: tuple[str, ...], rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
