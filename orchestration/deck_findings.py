"""What was found in carriers' decks, in words: the rows of `rate.int_deck_findings_raised` as a person reads them.

Belongs here: reading findings, a sentence for each reason, their table. Does not belong here: what a finding is, which
the models of `models/rate` say; who asks for them (`cli/`, `what_if/`).
"""

from collections import Counter
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

TABLE = "rate.int_deck_findings_raised"
FOR_EVER = datetime(9999, 12, 31)


@dataclass(frozen=True)
class Finding:
    """One finding, with what its sentence needs. `file` and `record_number` are where it is said."""

    severity: str
    finding: str
    finding_reason: str
    carrier_id: str
    service: str
    direction: str
    deck_version: str | None
    code_name: str
    destination_name: str
    other_code_name: str | None
    rate_currency: str | None
    rate_unit: str | None
    rate_amount: Decimal | None
    rate_per_quantity: int | None
    compared_rate_amount: Decimal | None
    compared_per_quantity: int | None
    rate_ratio: Decimal | None
    unpriced_minutes: int | None
    notice_days: int | None
    increase_notice_days: int | None
    effective_date: date
    applies_from_at: datetime
    applies_until_at: datetime
    file: str | None
    record_number: int | None

    @property
    def deck(self) -> str:
        return f"{self.carrier_id}, {self.service} {self.direction}, deck {self.deck_version}, {self.file}"

    @property
    def first_day(self) -> date:
        """On the agreement's clock, where the deck came in time; else the day of its receipt."""
        came_in_time = self.applies_from_at < datetime.combine(self.effective_date, time.min) + timedelta(days=1)
        return self.effective_date if came_in_time else self.applies_from_at.date()

    @property
    def price(self) -> str:
        return price(self.rate_amount, self.rate_per_quantity, self.rate_currency, self.rate_unit)

    @property
    def compared_price(self) -> str:
        if self.compared_per_quantity == self.rate_per_quantity:
            return plain(self.compared_rate_amount)
        return price(self.compared_rate_amount, self.compared_per_quantity, self.rate_currency, self.rate_unit)

    @property
    def times(self) -> str:
        return "" if self.rate_ratio is None else f" ({plain(self.rate_ratio.quantize(Decimal('0.01')))} times)"

    @property
    def sentence(self) -> str:
        return SENTENCES[self.finding_reason](self)


def plain(amount: Decimal | None) -> str:
    """Without needless zeros, and never as 1E+2."""
    return "?" if amount is None else f"{amount.normalize():f}"


def price(amount: Decimal | None, per_quantity: int | None, currency: str | None, unit: str | None) -> str:
    unit = "s" if unit == "second" else unit
    per = "" if per_quantity is None else f" per {unit}" if per_quantity == 1 else f" per {per_quantity} {unit}"
    return f"{currency or ''} {plain(amount)}{per}".strip()


def _hours(minutes: int | None) -> str:
    whole, rest = divmod(minutes or 0, 60)
    return " ".join(part for part in (whole and f"{whole} h", rest and f"{rest} min") if part)


def _dropped(one: Finding) -> str:
    again = "" if one.applies_until_at == FOR_EVER else f" until {one.applies_until_at:%Y-%m-%d %H:%M} UTC"
    if one.severity == "error":
        then = f"its numbers have no price{again}"
    elif one.other_code_name is None:
        then = f"the dial codes price its numbers{again}"
    else:
        then = f"{one.other_code_name or 'the price for all destinations'} prices its numbers{again}"
    return f"left out of the full deck and never closed: {then}"


def _overlapping(one: Finding) -> str:
    other = "" if one.compared_rate_amount is None else f" and {one.compared_price}"
    return f"two time bands overlap: {one.price}{other}"


def _repeated(one: Finding) -> str:
    if (one.rate_amount, one.rate_per_quantity) == (one.compared_rate_amount, one.compared_per_quantity):
        return f"twice in one file at {one.price}, with other fees or increments: the last row counts"
    return f"twice in one file: {one.price} counts, {one.compared_price} does not"


def _raised(one: Finding) -> str:
    days = f"{one.notice_days} {'day' if one.notice_days == 1 else 'days'}"
    change = f"{one.price} instead of {one.compared_price}{one.times}"
    return f"{change}, with {days} of notice, not {one.increase_notice_days}"


def _far(one: Finding) -> str:
    if one.other_code_name is None:
        neighbours = "its destination costs"
    else:
        neighbours = f"the codes under {one.other_code_name or 'all destinations'} cost"
    return f"{one.price}, while {neighbours} {one.compared_price}{one.times}"


SENTENCES = {
    "dropped_from_full_deck": _dropped,
    "hours_without_price": lambda one: f"{_hours(one.unpriced_minutes)} of the week have no price",
    "first_seconds_without_price": lambda one: (
        f"in {_hours(one.unpriced_minutes)} of the week the first seconds of a call have no price"
    ),
    "two_prices_at_one_time": _overlapping,
    "repeated_with_another_price": _repeated,
    "closed_and_priced": lambda one: (
        f"closed, and priced at {plain(one.compared_rate_amount)} by the same file: closed"
    ),
    "closes_unknown_code": lambda one: "closes a code that never had a price",
    "amends_unknown_code": lambda one: "amends a code that never had a price, and does not call it new",
    "no_such_calling_code": lambda one: "no country has numbers that begin so",
    "increase_inside_notice": _raised,
    "far_above": _far,
    "far_below": _far,
}

COLUMNS = ", ".join(field.name for field in fields(Finding))
ASKED_FOR = f"""
    select findings.*, concat_ws('/', files.file_name, files.part_name) as file
    from {TABLE} as findings left join ingest.files as files using (file_id)
    where ($carrier is null or findings.carrier_id = $carrier)
        and ($files is null or list_contains($files::varchar[], findings.file_id))
"""


def carriers(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    """Whose decks there may be: the carriers of the terms."""
    rows = warehouse.execute(
        "select distinct party_id from stage.stg_terms__parties where is_carrier and party_id is not null order by 1"
    )
    return [carrier for (carrier,) in rows.fetchall()]


def read(
    warehouse: duckdb.DuckDBPyConnection, limit: int, carrier: str | None = None, files: list[str] | None = None
) -> list[Finding]:
    """The most severe findings, of one carrier or of some files; of equal ones the newest first."""
    rows = warehouse.execute(
        f"""
        select {COLUMNS} from ({ASKED_FOR})
        order by severity, applies_from_at desc, finding, carrier_id, rate_ratio desc nulls last, code_name
        limit $limit
        """,
        {"carrier": carrier, "files": files, "limit": limit},
    ).fetchall()
    return [Finding(*row) for row in rows]


def count(
    warehouse: duckdb.DuckDBPyConnection, carrier: str | None = None, files: list[str] | None = None
) -> Counter[tuple[str, str]]:
    """How many findings there are of each severity and kind, the most severe and most frequent first."""
    rows = warehouse.execute(
        f"select severity, finding, count(*) from ({ASKED_FOR}) group by severity, finding order by 1, 3 desc, 2",
        {"carrier": carrier, "files": files},
    ).fetchall()
    return Counter({(severity, finding): number for severity, finding, number in rows})


def facts(found: list[Finding], counts: Counter[tuple[str, str]]) -> dict[str, list[dict]]:
    """What `show` says, for a program."""
    return {
        "findings": [asdict(one) | {"sentence": one.sentence} for one in found],
        "finding_counts": [
            {"severity": severity, "finding": finding, "count": number}
            for (severity, finding), number in counts.items()
        ],
    }


def show(console: Console, found: list[Finding], counts: Counter[tuple[str, str]]) -> None:
    """The findings, deck by deck, and how many of each kind there are in all."""
    for deck in dict.fromkeys(one.deck for one in found):
        console.print(deck, style="bold", markup=False, highlight=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("", "record", "code", "destination", "from", "finding"):
            justify = "right" if name == "record" else "left"
            table.add_column(name, no_wrap=name not in ("destination", "finding"), justify=justify)
        for one in (one for one in found if one.deck == deck):
            destination = Text(one.destination_name or "")
            day = f"{one.first_day}"
            table.add_row(
                one.severity,
                "" if one.record_number is None else f"{one.record_number:,}",
                one.code_name or "all",
                destination,
                day,
                one.sentence,
            )
        console.print(table, highlight=False)
    for (severity, finding), number in counts.items():
        console.print(f"{number:,} {severity}{'' if number == 1 else 's'}: {finding}", highlight=False)
    if len(found) < counts.total():
        console.print(f"{len(found):,} of {counts.total():,} shown", highlight=False)
