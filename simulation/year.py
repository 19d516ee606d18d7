"""A year in many orders: the same facts come to many parties, to each in an order of its own, and settle to the same.

Belongs here: the facts of a year, their orders, running the product over them with crashes and closings between, and
comparing the books. Does not belong here: what the facts come to, which only the models know.

A copy of the same three parties stands for each order: a carrier that is a partner too and is netted in another
currency, a partner, and one that has a share of its revenue. To the first copy all facts come at once; to each other
copy each fact comes in a step of chance. Every step is a run of `tollgate run` as anybody does it: some are killed in
the middle and done again, once the warehouse is lost and built anew from landing and the exported books, and months
are closed on the way. What the copies have in common comes in one order: first the decks of the year, and rates of
exchange before their revisions.

    python -m simulation.year --orders 200 --steps 14
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

from simulation import decks, invoices, usage
from simulation.mistakes import write_rows
from simulation.terms import Month

YEAR = 2025
MONTHS = [Month(date(YEAR, number, 1)) for number in range(1, 13)]
ROLES = ("carrier", "partner", "friend")
NETTED_IN = "USD"
CENT = Decimal("0.01")
TIERS = ((1, 6000, "0.21", 0), (2, "", "0.17", 0))
RATES_AT_FIRST = (("49", "Germany", "0.04"), ("4915", "Germany Mobile", "0.12"))

COLUMNS = {
    "usage": usage.COLUMNS,
    "rate_decks": decks.COLUMNS,
    "carrier_invoices": invoices.INVOICE_COLUMNS,
    "credit_notes": invoices.CREDIT_NOTE_COLUMNS,
    "dispute_events": ("dispute_id", "event_type", "event_date", "amount", "currency", "reference", "note"),
    "payments": (
        "party_id", "payment_reference", "value_date", "direction", "settles", "invoice_number", "currency", "amount",
    ),
    "fx_rates": ("rate_date", "base_currency", "quote_currency", "rate", "source"),
}  # fmt: skip
"""Of the files that land, by kind."""


@dataclass(frozen=True)
class Fact:
    """Rows of one file that belong together. `{}` stands for the order's number."""

    kind: str
    rows: tuple[tuple[object, ...], ...]

    def of(self, order: int) -> Iterator[tuple[str, ...]]:
        return (tuple(str(cell).replace("{}", f"{order:03}") for cell in row) for row in self.rows)


# --- what happens in the year ----------------------------------------------------------------------------------------


def facts_of_the_year(dice: random.Random) -> list[Fact]:
    """What comes to the parties of every order, but for the decks of the year and the rates of exchange."""
    facts = [
        # Before its day, and after it: the second one mends what was rated since.
        Fact("rate_decks", (_deck_row("amendment", date(YEAR, 7, 1), "4915", "Germany Mobile", "0.15"),)),
        Fact("rate_decks", (_deck_row("amendment", date(YEAR, 9, 10), "49", "Germany", "0.045"),)),
    ]
    for number, month in enumerate(MONTHS, 1):
        calls = [_Call(number, place, dice) for place in range(8)]
        facts += [Fact("usage", tuple(call.row() for call in calls[:5]))]
        facts += [Fact("usage", (call.row(),)) for call in calls[5:]]
        facts.append(Fact("usage", (calls[0].row(seconds=calls[0].seconds + 61, hours_later=30),)))
        facts += _invoices(month, number, calls, dice)
        facts.append(
            Fact("payments", (("partner-{}", f"in-{{}}-{number}", month.next_first + timedelta(days=20), "received",
                               "partner", "", "EUR", dice.randint(100, 900) * CENT),))
        )  # fmt: skip
    return facts


class _Call:
    """A call of a month, sold to the partner or to the carrier itself, which buys from us as well."""

    def __init__(self, number: int, place: int, dice: random.Random) -> None:
        self.name, self.place = f"call-{{}}-{number}-{place}", place
        self.is_mobile = place % 2 == 1
        self.seconds = dice.randint(20, 4_000)
        # Near both ends of the month too, where the zones of the agreements part.
        day = 1 if place == 2 else MONTHS[number - 1].days[-1].day if place == 3 else dice.randint(2, 27)
        self.started_at = datetime(YEAR, number, day, 23 if place in (2, 3) else dice.randrange(24), dice.randrange(60))

    def row(self, seconds: int | None = None, hours_later: int = 1) -> tuple[object, ...]:
        buyer = "carrier-{}-account" if self.place == 7 else "partner-{}-account"
        number = "4915123456789" if self.is_mobile else "4930123456"
        received_at = self.started_at + timedelta(hours=hours_later)
        return (
            self.name, "voice", "outbound", buyer, "carrier-{}", "33123456789", number,
            f"{self.started_at:%Y-%m-%dT%H:%M:%SZ}", "answered", seconds or self.seconds, "second",
            f"{received_at:%Y-%m-%dT%H:%M:%SZ}",
        )  # fmt: skip


def _deck_row(kind: str, effective: date, code: str, name: str, rate: str) -> tuple[object, ...]:
    return (
        "carrier-{}", "voice", "outbound", f"{effective}-{kind}", kind, f"{effective - timedelta(days=40)}T09:00:00Z",
        effective, code, name, "", rate, "EUR", 60, "second", "",
    )  # fmt: skip


def _invoices(month: Month, number: int, calls: list[_Call], dice: random.Random) -> Iterator[Fact]:
    """The month's invoice, in some months restated, in the last ones in another currency; what is disputed of it,
    answered, credited and paid.
    """
    currency = "USD" if number > 9 else "EUR"
    invoice = f"inv-{{}}-{number:02}"
    overcharged = dice.randint(500, 3_000) * CENT
    versions = (1, 2) if number % 3 == 0 else (1,)
    for version in versions:
        lines = []
        for is_mobile, name, rate in ((False, "Germany", Decimal("0.04")), (True, "Germany Mobile", Decimal("0.12"))):
            mine = [call for call in calls if call.is_mobile is is_mobile]
            seconds = sum(call.seconds for call in mine)
            amount = (seconds * rate / 60).quantize(CENT) + (overcharged if is_mobile else 0)
            amount += Decimal(version - 1)
            lines.append((name, len(mine), seconds, rate, amount))
        total = sum(amount for *_, amount in lines)
        issued = month.next_first + timedelta(days=2 + version)
        yield Fact(
            "carrier_invoices",
            tuple(
                ("carrier-{}", invoice, version, issued, month.first, currency, place, "usage", "voice", "outbound",
                 name, month.first, month.days[-1], count, seconds, "second", rate, 60, amount, "", total)
                for place, (name, count, seconds, rate, amount) in enumerate(lines, 1)
            ),
        )  # fmt: skip
    dispute = f"carrier-{{}}:{invoice}:{YEAR}-{number:02}:RESIDUAL"
    raised = month.next_first + timedelta(days=6)
    conceded = (overcharged / 2).quantize(CENT)
    steps = [("raised", overcharged, 0), ("acknowledged", "", 3)]
    if number % 2:
        steps.append(("partly_accepted", conceded, 10))
        issued = raised + timedelta(days=12)
        note = ("carrier-{}", f"cn-{{}}-{number}", issued, invoice, "RESIDUAL", currency, conceded)
        yield Fact("credit_notes", (note,))
    elif number % 4 == 0:
        steps.append(("withdrawn", "", 14))
    for event_type, amount, days in steps:
        said = (dispute, event_type, raised + timedelta(days=days), amount, currency if amount else "", "", "")
        yield Fact("dispute_events", (said,))
    if number < 8:
        yield Fact(
            "payments",
            (("carrier-{}", f"out-{{}}-{number}", raised + timedelta(days=20), "paid", "carrier", invoice, currency,
              dice.randint(300, 2_000) * CENT),),
        )  # fmt: skip


def _rates_of_exchange(dice: random.Random) -> list[tuple[object, ...]]:
    return [
        (day, "EUR", "USD", Decimal(dice.randint(10_200, 11_900)).scaleb(-4), "bank")
        for month in MONTHS
        for day in (month.days[9], month.days[-1])
    ]


def write_terms(folder: Path, orders: int) -> None:
    since = date(YEAR - 1, 1, 1)

    def of_orders(*rows: tuple[object, ...]) -> list[tuple[str, ...]]:
        return [row for order in range(orders) for row in Fact("terms", rows).of(order)]

    def agreed(role: str, party_role: str, zone: str, tax_ratio: str) -> tuple[object, ...]:
        name = f"{role}-{{}}"
        return (f"{name}-as-{party_role}", name, party_role, since, "", "EUR", zone, "half_up", "", 2, tax_ratio, 30, 7)

    tables = {
        "parties": (
            "party_id,party_name,country_code,is_carrier,is_partner",
            of_orders(*((f"{role}-{{}}", f"{role} {{}}", "DE", role == "carrier", "true") for role in ROLES)),
        ),
        "agreements": (
            "agreement_id,party_id,party_role,valid_from_date,valid_until_date,currency,time_zone,rounding_mode,"
            "event_rounding_decimals,line_rounding_decimals,tax_ratio,payment_days,increase_notice_days",
            of_orders(
                agreed("carrier", "carrier", "UTC", "0.19"),
                agreed("carrier", "partner", "Europe/Berlin", "0"),
                agreed("partner", "partner", "America/New_York", "0.19"),
                agreed("friend", "partner", "Asia/Tokyo", "0"),
            ),
        ),
        "rating_terms": (
            "agreement_id,service,direction,quantity_unit,minimum_quantity,increment_quantity,increment_method,"
            "charged_on,quantity_rounding,increment_rounding_mode,increment_rounding_decimals,free_quantity,"
            "attempt_fee_amount,attempt_fee_scope",
            of_orders(
                ("carrier-{}-as-carrier", "voice", "outbound", "second", 1, 1, "residual", "answered",
                 *("" for _ in range(6)))
            ),
        ),
        "accounts": (
            "account_id,partner_id,valid_from_date,valid_until_date",
            of_orders(*((f"{role}-{{}}-account", f"{role}-{{}}", since, "") for role in ROLES[:2])),
        ),
        "plans": (
            "plan_id,partner_id,service,direction,country_code,valid_from_date,valid_until_date,pricing_model,"
            "quantity_unit,minimum_quantity,increment_quantity,priced_per_quantity,charged_on",
            of_orders(
                *((f"{role}-{{}}-voice", f"{role}-{{}}", "voice", "outbound", "*", since, "", "graduated", "second",
                   60, 60, 60, "answered") for role in ROLES[:2])
            ),
        ),
        "plan_tiers": (
            "plan_id,tier_number,up_to_quantity,unit_amount,flat_amount",
            of_orders(
                *((f"{role}-{{}}-voice", *tier) for role in ROLES[:2] for tier in TIERS)
            ),
        ),
        "revenue_shares": (
            "rule_id,seller_partner_id,service,beneficiary_partner_id,share_ratio,valid_from_date,valid_until_date",
            of_orders(("friend-{}-share", "partner-{}", "voice", "friend-{}", "0.0725", since, "")),
        ),
        "netting_agreements": (
            "party_id,netting_currency,fx_days_after_month,valid_from_date,valid_until_date",
            of_orders(("carrier-{}", NETTED_IN, 10, since, "")),
        ),
        "routes": ("feed,route,direction,carrier_id,valid_from_date,valid_until_date", []),
        "tolerances": (
            "agreement_id,cause,tolerance_ratio,tolerance_amount,raise_within_days,may_withhold",
            of_orders(("carrier-{}-as-carrier", "*", "0.01", "1.00", 60, "true")),
        ),
    }  # fmt: skip
    for name, (header, rows) in tables.items():
        write_rows(folder / f"{name}.csv", tuple(header.split(",")), rows)


# --- the replay ------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What the replay found. Whatever is wrong is in `faults`, in words."""

    orders: int
    steps: int
    killed: int = 0
    closed: list[Month] = field(default_factory=list)
    entries: int = 0
    balances: int = 0
    corrections: int = 0
    """Postings into another month than their own."""
    faults: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        return (
            f"orders {self.orders}, steps {self.steps}, killed {self.killed}, months closed {len(self.closed)}, "
            f"entries {self.entries}, corrections in a later month {self.corrections}, balances {self.balances}, "
            f"faults {len(self.faults)}"
        )


class Year:
    """A home in `folder` that sees the year."""

    def __init__(self, folder: Path, orders: int, steps: int, seed: int, tell: Callable[[str], None]) -> None:
        self.folder, self.home, self.terms = folder, folder / "home", folder / "terms"
        self.orders, self.steps, self.tell = orders, steps, tell
        self.seed, self.dice = seed, random.Random(seed)
        self.facts = facts_of_the_year(random.Random("facts"))
        self.exchange = _rates_of_exchange(random.Random("exchange"))
        self.outcome = Outcome(orders, steps)
        self.closed_sums: dict[tuple, Decimal] = {}
        self.seconds_of_a_run = 30.0

    def replay(self) -> Outcome:
        self.write_terms()
        for step, arrived in enumerate(self.arrivals()):
            self.land(step, arrived)
            if step == self.steps // 2:
                self.tell("  the warehouse is lost")
                shutil.rmtree(self.home / "warehouse")
            self._run(is_killed=step % 3 == 1)
            self._check(step)
            self._close(step)
        self._run()
        self._check(self.steps)
        self._compare()
        return self.outcome

    def write_terms(self) -> None:
        write_terms(self.terms, self.orders)

    def arrivals(self) -> list[dict[str, list[tuple[str, ...]]]]:
        """The rows that come in each step, by kind: decks of the year first, then each fact of each order by chance."""
        dice = random.Random(f"arrivals {self.seed}")
        found: list[dict[str, list[tuple[str, ...]]]] = [defaultdict(list) for _ in range(self.steps)]
        prices = Fact("rate_decks", tuple(_deck_row("full", date(YEAR - 1, 12, 1), *rate) for rate in RATES_AT_FIRST))
        for order in range(self.orders):
            found[0][prices.kind] += prices.of(order)
            for fact in self.facts:
                found[dice.randrange(self.steps) if order else 0][fact.kind] += fact.of(order)
        return found

    def land(self, step: int, arrived: dict[str, list[tuple[str, ...]]]) -> None:
        for kind, rows in arrived.items():
            self._land(kind, f"step-{step:02}", rows)
        self._revise_exchange(step)

    def _land(self, kind: str, name: str, rows: Iterable[tuple]) -> None:
        write_rows(self.home / "landing" / kind / "native" / f"{name}.csv", COLUMNS[kind], rows)

    def _revise_exchange(self, step: int) -> None:
        """The rates of the year, and in every second step a few of them anew, under the same name."""
        if step and step % 2:
            for place in self.dice.sample(range(len(self.exchange)), 3):
                day, base, quote, rate, source = self.exchange[place]
                self.exchange[place] = (day, base, quote, rate + Decimal("0.0013"), source)
        self._land("fx_rates", "rates", self.exchange)

    def _tollgate(self, *arguments: str) -> subprocess.Popen:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("TOLLGATE_", "DAGSTER_"))
        }
        environment |= {
            "TOLLGATE_HOME": str(self.home), "TOLLGATE_TERMS": str(self.terms), "TOLLGATE_QUIET_SECONDS": "0",
        }  # fmt: skip
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "tollgate"), *arguments],
            env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def _run(self, is_killed: bool = False) -> None:
        if is_killed:
            process = self._tollgate("run")
            after = self.dice.uniform(0.3, 0.95) * self.seconds_of_a_run
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                self.outcome.killed += 1
                self.tell(f"  killed after {after:.0f} s")
            process.communicate()
        begun = time.monotonic()
        process = self._tollgate("run")
        said, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"a run failed:\n{said}")
        self.seconds_of_a_run = time.monotonic() - begun

    def _check(self, step: int) -> None:
        """After each run: entries foot, closed months are what they were."""
        unbalanced = self._sums(("entry_id", "currency"))
        self.outcome.faults += [
            f"step {step}: entry {entry} is out by {amount} {currency}"
            for (entry, currency), amount in unbalanced.items()
            if amount
        ]
        was = self._sums_of_closed_months()
        self.outcome.faults += [
            f"step {step}: {' '.join(map(str, key))} is closed, was {self.closed_sums.get(key)} and is {was.get(key)}"
            for key in self.closed_sums.keys() | was.keys()
            if self.closed_sums.get(key) != was.get(key)
        ]
        self.outcome.entries = len(unbalanced)
        self.tell(f"step {step}: {self.outcome.entries:,} entries; the run took {self.seconds_of_a_run:.0f} s")

    def _close(self, step: int) -> None:
        """In the later steps month after month, so that all but the last two are closed in the end."""
        due = (step + 1) * (len(MONTHS) - 2) // self.steps
        while len(self.outcome.closed) < due:
            month = MONTHS[len(self.outcome.closed)]
            process = self._tollgate("close-period", f"{month.first:%Y-%m}", "--accept", "a replay")
            said, _ = process.communicate()
            if process.returncode:
                raise RuntimeError(f"{month.first:%Y-%m} was not closed:\n{said}")
            self.outcome.closed.append(month)
        self.closed_sums = self._sums_of_closed_months()

    def _sums_of_closed_months(self) -> dict[tuple, Decimal]:
        sums = self._sums(("posting_period_date", "party_id", "account", "currency"))
        closed = {month.first for month in self.outcome.closed}
        return {key: amount for key, amount in sums.items() if key[0] in closed}

    def _sums(self, by: tuple[str, ...]) -> dict[tuple, Decimal]:
        names = ", ".join(by)
        with duckdb.connect(str(self.home / "warehouse" / "tollgate.duckdb"), read_only=True) as connection:
            found = connection.execute(
                f"select {names}, sum(debit_amount - credit_amount) from ledger.postings group by {names}"
            ).fetchall()
        return {tuple(row[:-1]): row[-1] for row in found}

    def _compare(self) -> None:
        """The balances of each order beside those of the one to which all came at once."""
        ends: dict[int, dict[tuple, Decimal]] = defaultdict(dict)
        for (party, account, currency), amount in self._sums(("party_id", "account", "currency")).items():
            role, order = party.split("-")
            if amount:
                ends[int(order)][role, account, currency] = amount
        right = ends[0]
        self.outcome.balances = sum(map(len, ends.values()))
        for order in range(self.orders):
            for key in sorted(right.keys() | ends[order].keys()):
                if right.get(key) != ends[order].get(key):
                    self.outcome.faults.append(
                        f"order {order}: {' '.join(key)} is {ends[order].get(key)}, all at once {right.get(key)}"
                    )
        for (_, origin, posting), _ in self._sums(("entry_id", "origin_period_date", "posting_period_date")).items():
            self.outcome.corrections += posting > origin
        process = self._tollgate("verify")
        said, _ = process.communicate()
        if process.returncode:
            self.outcome.faults.append(said)


def main() -> None:
    parser = argparse.ArgumentParser(description="Does a year settle to the same in whatever order it arrives?")
    parser.add_argument("--orders", type=int, default=200, help="how many orders (default 200)")
    parser.add_argument("--steps", type=int, default=14, help="in how many runs they arrive (default 14)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same orders (default 1)")
    parser.add_argument("--keep", type=Path, help="keep the home below this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        year = Year(folder, arguments.orders, arguments.steps, arguments.seed, lambda line: print(line, flush=True))
        outcome = year.replay()
    for fault in outcome.faults[:20]:
        print(fault)
    print(outcome.sentence())
    raise SystemExit(bool(outcome.faults))


if __name__ == "__main__":
    main()
