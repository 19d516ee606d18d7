"""The carriers' price lists: what each one charges for which dial codes, from when, and how the lists reach
us.

Belongs here: decks, amendments, the instant from which each applies, their landing files. Does not belong
here: what an event costs (`rating`). Rates are integers in millionths of the deck's currency; prices are
invented, so the draw may use floats, and what is drawn is an integer from the first moment on.
"""

import csv
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist
from zoneinfo import ZoneInfo

import numpy as np
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, country_code_for_region

from simulation.numbering import Breakout, DialIndex
from simulation.terms import AllTerms, Month, epoch_second
from simulation.traffic import ACCOUNTS, Traffic

MICRO = 1_000_000
# Median price of a minute, a segment and a thousand e-mails, its currency, and the spread of its logarithm.
WORLD_PRICES = {"voice": (0.1175, "EUR", 0.92), "sms": (0.058, "USD", 0.6), "email": (0.35, "USD", 0.0)}
RATED_QUANTITY = {"voice": (60, "second"), "sms": (1, "segment"), "email": (1000, "message")}
AMENDED_DESTINATIONS = 16
COLUMNS = (
    "carrier_id", "service", "direction", "deck_version", "deck_kind", "received_at", "effective_date",
    "dial_code",
    "destination_name", "change_type", "rate_amount", "rate_currency", "rate_per_quantity", "rate_unit",
    "connect_fee_amount",
)  # fmt: skip
AZ_COLUMNS = ("DESTINATION", "PREFIX", "RATE")
INBOUND_CODES = {
    "1": ("United States Local", 8_500),
    "1888": ("United States Toll-Free", 22_000),
    "44": ("United Kingdom Local", 10_000),
    "49": ("Germany Local", 12_500),
}


@dataclass(frozen=True)
class DeckPlan:
    """How one carrier prices one service.

    decimals: of its rates; level: its prices beside the world's; breadth: share of countries with rates per
    operator; missing: how many countries its deck forgets, though it carries calls to them; earlier: it
    sent a full deck a month before, too; amended: `on_time` is received a week before the 15th, `late`
    three days after the 10th; closes: the amendment ends a code.
    """

    carrier_id: str
    service: str
    decimals: int
    level: float
    breadth: float = 0.0
    missing: int = 0
    earlier: bool = False
    amended: str = ""
    closes: bool = False
    direction: str = "outbound"
    layout: str = "native"
    connect_fee: int = 0


DECK_PLANS = (
    DeckPlan("atlantic-voice", "voice", 6, 0.9, 0.6, missing=2, earlier=True, amended="on_time", connect_fee=10_000),
    DeckPlan("nordlink", "voice", 5, 1.0, 0.5, missing=1, earlier=True, amended="on_time"),
    DeckPlan("ponte-wholesale", "voice", 4, 0.85, 0.7, layout="az_decimal_comma"),
    DeckPlan("sakura-tel", "voice", 4, 1.05, 0.3, amended="on_time"),
    DeckPlan("sakura-tel", "sms", 4, 1.0, 0.2),
    DeckPlan("gulf-connect", "voice", 6, 1.1, 0.4, amended="late"),
    DeckPlan("gulf-connect", "sms", 6, 0.9, 0.3, missing=1),
    DeckPlan("textwave", "sms", 5, 1.0, 0.8, missing=1, amended="on_time", closes=True),
    DeckPlan("mailpost", "email", 4, 1.0),
    DeckPlan("twilio", "voice", 4, 1.2, 0.4),
    DeckPlan("twilio", "voice", 4, 1.0, direction="inbound"),
    DeckPlan("twilio", "sms", 4, 1.15, 0.3),
)


@dataclass(frozen=True)
class Version:
    """One file of a deck: what it sets (`codes`: destination by dial code, `rates` and `fees` by
    destination) and what it ends.
    """

    name: str
    kind: str
    received_at: int
    effective_date: date
    codes: dict[str, str]
    rates: dict[str, int]
    fees: dict[str, int]
    closed: dict[str, str] = field(default_factory=dict)
    old_rates: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Epoch:
    """The prices in force from one instant until the next epoch: destinations are numbers into the deck's
    `names`.
    """

    starts_at: int
    index: DialIndex
    rates: np.ndarray
    fees: np.ndarray
    changed: frozenset[int]


@dataclass(frozen=True)
class Deck:
    """One carrier's prices for one service and direction through the month.

    hidden: by destination, whether the carrier prices it but left it out of the files that it sent us.
    """

    plan: DeckPlan
    currency: str
    per_quantity: int
    unit: str
    names: list[str]
    hidden: np.ndarray
    versions: list[Version]
    epochs: list[Epoch]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.plan.carrier_id, self.plan.service, self.plan.direction


class DeckMaker:
    """Makes the decks of one month: the same prices for the same seed."""

    def __init__(
        self,
        terms: AllTerms,
        month: Month,
        traffic: Traffic,
        quotes: dict[str, Decimal],
        breakouts: list[Breakout],
        seed: int,
    ) -> None:
        """quotes: units of each currency for one euro on the month's first day."""
        self.terms, self.month, self.traffic, self.quotes, self.seed = terms, month, traffic, quotes, seed
        self.breakouts = breakouts
        self.levels = self._world_levels()

    def decks(self) -> list[Deck]:
        """One deck per carrier, service and direction that has terms in the month."""
        plans = [plan for plan in DECK_PLANS if (plan.carrier_id, plan.service, plan.direction) in self.terms.rating]
        return [self._deck(plan) for plan in plans]

    def _world_levels(self) -> np.ndarray:
        """Standard normal level of each breakout's price: often called countries tend to be cheap,
        operators differ a little.
        """
        rng = np.random.default_rng([self.seed, 1])
        regions = list(dict.fromkeys(breakout.region for breakout in self.breakouts))
        ranks = [NormalDist().inv_cdf((rank + 0.5) / len(regions)) for rank in range(len(regions))]
        by_region = dict(zip(regions, 0.8 * np.array(ranks) + 0.6 * rng.standard_normal(len(regions)), strict=True))
        markup = {"default": -0.1, "mobile": 0.25, "operator": 0.25}
        noise = {"default": 0.0, "mobile": 0.0, "operator": 0.12}
        draws = rng.standard_normal(len(self.breakouts))
        return np.array(
            [
                by_region[breakout.region] + markup[breakout.kind] + noise[breakout.kind] * draw
                for breakout, draw in zip(self.breakouts, draws, strict=True)
            ]
        )

    def _deck(self, plan: DeckPlan) -> Deck:
        rng = np.random.default_rng(
            [self.seed, zlib.crc32(f"{plan.carrier_id} {plan.service} {plan.direction}".encode())]
        )
        currency = self.terms.carriers[plan.carrier_id].currency
        codes, rates = self._prices(plan, currency, rng)
        names = list(rates)
        fees = self._connect_fees(plan, names)
        hidden = self._hidden(plan, codes, names) if plan.missing else set()
        first = self._full(plan, codes, rates, fees, earlier=plan.layout == "native")
        versions = [first]
        if plan.earlier:
            current = {name: self._moved(plan, rate, rng.uniform(0.97, 1.04)) for name, rate in rates.items()}
            versions.append(self._full(plan, codes, current, fees, earlier=False))
        if plan.amended:
            versions.append(self._amendment(plan, versions[-1], hidden, rng))
        zone = self.terms.carriers[plan.carrier_id].zone
        starts = [_in_force_at(version, zone, plan.layout) for version in versions]
        return Deck(
            plan,
            currency,
            *RATED_QUANTITY[plan.service],
            names,
            np.array([name in hidden for name in names]),
            [_without(version, hidden) for version in versions],
            _epochs(versions, starts, names),
        )

    def _prices(self, plan: DeckPlan, currency: str, rng: np.random.Generator) -> tuple[dict[str, str], dict[str, int]]:
        """Destination by dial code, rate by destination."""
        if plan.direction == "inbound":
            return {code: name for code, (name, _) in INBOUND_CODES.items()}, dict(INBOUND_CODES.values())
        median, priced_in, spread = WORLD_PRICES[plan.service]
        per_median = float(self.quotes[currency] / self.quotes[priced_in]) * median * plan.level
        if plan.service == "email":
            return {"": "All destinations"}, {"All destinations": self._rounded(plan, per_median)}
        regions = list(dict.fromkeys(breakout.region for breakout in self.breakouts))
        broad = {region for rank, region in enumerate(regions) if rank < 12 or rng.random() < plan.breadth}
        codes, rates = {}, {}
        for breakout, level in zip(self.breakouts, self.levels, strict=True):
            wobble = rng.normal(0, 0.12)
            if breakout.kind == "operator" and breakout.region not in broad:
                continue
            rates[breakout.name] = self._rounded(plan, per_median * float(np.exp(spread * level + wobble)))
            codes |= dict.fromkeys(breakout.codes, breakout.name)
        return codes, rates

    def _rounded(self, plan: DeckPlan, amount: float) -> int:
        step = 10 ** (6 - plan.decimals)
        return max(1, round(amount * MICRO / step)) * step

    def _moved(self, plan: DeckPlan, rate: int, factor: float) -> int:
        """The rate times a factor, and at least one step of its last decimal away from what it was."""
        step = 10 ** (6 - plan.decimals)
        moved = self._rounded(plan, rate * factor / MICRO)
        return moved if moved != rate else max(step, rate + (step if factor > 1 else -step))

    def _connect_fees(self, plan: DeckPlan, names: list[str]) -> dict[str, int]:
        """A fee per call to the destinations that are dear to reach; most decks have none."""
        dear = {breakout.name for breakout, level in zip(self.breakouts, self.levels, strict=True) if level > 1}
        return {name: plan.connect_fee if name in dear else 0 for name in names}

    def _calls(self, plan: DeckPlan, codes: dict[str, str]) -> dict[str, float]:
        """Expected share of calls by dial code, the busiest first."""
        ranges = self.traffic.ranges
        ordered = sorted(codes)
        index = DialIndex({code: number for number, code in enumerate(ordered)})
        _, keys = ranges.keys(np.arange(len(ranges.prefix)), np.full(len(ranges.prefix), 0.5))
        shares = np.zeros(len(ordered))
        found = index.find(keys)
        expected = self.traffic.expected(plan.carrier_id, plan.service, plan.direction)
        np.add.at(shares, found[found >= 0], expected[found >= 0])
        return {ordered[number]: float(shares[number]) for number in np.argsort(-shares, kind="stable")}

    def _hidden(self, plan: DeckPlan, codes: dict[str, str], names: list[str]) -> set[str]:
        """Destinations of the countries that the deck forgets: called now and then, with a calling code of
        their own.
        """
        region_of = {breakout.name: breakout.region for breakout in self.breakouts}
        homes = {region for account in ACCOUNTS.values() for region in account.home}
        by_calls = dict.fromkeys(region_of[codes[code]] for code in self._calls(plan, codes))
        unshared = [r for r in by_calls if len(COUNTRY_CODE_TO_REGION_CODE[country_code_for_region(r)]) == 1]
        candidates = [region for region in unshared if region not in homes]
        forgotten = set(candidates[9 : 9 + 4 * plan.missing : 4])
        return {name for name in names if region_of[name] in forgotten}

    def _full(
        self,
        plan: DeckPlan,
        codes: dict[str, str],
        rates: dict[str, int],
        fees: dict[str, int],
        *,
        earlier: bool,
    ) -> Version:
        effective = self.month.previous_first if earlier else self.month.first
        name = f"{plan.service}-{plan.direction}-{effective:%Y-%m}"
        return Version(name, "full", _at(effective - timedelta(days=10), 9, 30), effective, codes, rates, fees)

    def _amendment(self, plan: DeckPlan, before: Version, hidden: set[str], rng: np.random.Generator) -> Version:
        """New rates for the busiest destinations, two thirds of them lower; one code of another destination
        may end.
        """
        calls = self._calls(plan, before.codes)
        busiest = [name for name in dict.fromkeys(before.codes[code] for code in calls) if name not in hidden]
        changed = busiest[:AMENDED_DESTINATIONS]
        rates = {}
        for number, name in enumerate(changed):
            factor = rng.uniform(1.05, 1.3) if number % 3 == 2 else rng.uniform(0.72, 0.93)
            rates[name] = self._moved(plan, before.rates[name], factor)
        codes = {code: name for code, name in before.codes.items() if name in rates}
        closed = _code_to_close(before.codes, calls, hidden | rates.keys()) if plan.closes else {}
        effective = self.month.first + timedelta(days=9 if plan.amended == "late" else 14)
        received = (
            _at(effective + timedelta(days=3), 10) if plan.amended == "late" else _at(effective - timedelta(days=7), 9)
        )
        name = f"{plan.service}-{plan.direction}-{effective:%Y-%m-%d}-amendment"
        fees = {name: before.fees[name] for name in rates}
        old_rates = {name: before.rates[name] for name in rates}
        return Version(name, "amendment", received, effective, codes, rates, fees, closed, old_rates)


def decimal_text(micro: int) -> str:
    """Millionths as a decimal without needless zeros: 117500 is `0.1175`."""
    text = f"{micro // MICRO}.{micro % MICRO:06d}".rstrip("0")
    return text.rstrip(".")


def write_decks(landing: Path, decks: Iterable[Deck]) -> None:
    """Writes a file for each version of each deck."""
    for deck in decks:
        folder = landing / "rate_decks" / deck.plan.layout
        folder.mkdir(parents=True, exist_ok=True)
        for version in deck.versions:
            if deck.plan.layout == "native":
                _write_native(folder / f"{deck.plan.carrier_id}_{version.name}.csv", deck, version)
            else:
                _write_az(folder / f"{deck.plan.carrier_id}_{version.effective_date}.csv", version)


def _at(day: date, hour: int, minute: int = 0) -> int:
    return epoch_second(day) + hour * 3600 + minute * 60


def _in_force_at(version: Version, zone: ZoneInfo, layout: str) -> int:
    """From its first day in the agreement's zone, but never before it was received; an A-Z file does not
    say when that was.
    """
    effective_at = epoch_second(version.effective_date, zone)
    return effective_at if layout == "az_decimal_comma" else max(effective_at, version.received_at)


def _epochs(versions: list[Version], starts: list[int], names: list[str]) -> list[Epoch]:
    number_of = {name: number for number, name in enumerate(names)}
    epochs, codes = [], {}
    rates, fees = np.zeros(len(names), dtype=np.int64), np.zeros(len(names), dtype=np.int64)
    for version, starts_at in zip(versions, starts, strict=True):
        kept = {} if version.kind == "full" else codes
        codes = {code: name for code, name in {**kept, **version.codes}.items() if code not in version.closed}
        rates, fees = rates.copy(), fees.copy()
        for name, rate in version.rates.items():
            rates[number_of[name]], fees[number_of[name]] = rate, version.fees[name]
        index = DialIndex({code: number_of[name] for code, name in codes.items()})
        changed = frozenset(number_of[name] for name in (*version.rates, *version.closed.values()))
        epochs.append(Epoch(starts_at, index, rates, fees, changed))
    return epochs


def _without(version: Version, hidden: set[str]) -> Version:
    codes = {code: name for code, name in version.codes.items() if name not in hidden}
    return Version(**{**vars(version), "codes": codes})


def _code_to_close(codes: dict[str, str], calls: dict[str, float], spared: set[str]) -> dict[str, str]:
    """The busiest code whose numbers a shorter code of the deck still matches."""
    for code in calls:
        shorter = any(code[:length] in codes for length in range(1, len(code)))
        if shorter and codes[code] not in spared:
            return {code: codes[code]}
    return {}


def _write_native(path: Path, deck: Deck, version: Version) -> None:
    received = datetime.fromtimestamp(version.received_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    start = (*deck.key, version.name, version.kind, received, version.effective_date)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        terms = {name: _price_fields(deck, version, name) for name in version.rates}
        writer.writerows((*start, code, name, *terms[name]) for code, name in sorted(version.codes.items()))
        for code, name in version.closed.items():
            writer.writerow((*start, code, name, "closed", "", "", "", "", ""))


def _price_fields(deck: Deck, version: Version, name: str) -> tuple:
    """The columns from change_type on."""
    rate, fee = version.rates[name], version.fees[name]
    change = "" if version.kind == "full" else "increase" if rate > version.old_rates[name] else "decrease"
    fee_text = decimal_text(fee) if fee else ""
    return change, decimal_text(rate), deck.currency, deck.per_quantity, deck.unit, fee_text


def _write_az(path: Path, version: Version) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(AZ_COLUMNS)
        for code, name in sorted(version.codes.items()):
            writer.writerow((name, code, decimal_text(version.rates[name]).replace(".", ",")))
