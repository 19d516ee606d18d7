"""What would it cost? A call, message, session ... that never was, priced by the SQL that prices those that were.

Belongs here: the question, the event that stands for it, the answers side by side and how they are shown. Does not
belong here: rating (the models), and how the price of one carrier is told step by step (`event.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration import figures, models_applied
from orchestration.explain.event import NOUNS, UNRATED, EventExplained, RatedAgain
from orchestration.explain.explanation import Explanation, NotExplained
from orchestration.figures import instant, plain, unit
from orchestration.sql import fetch_rows

DEFAULTS = {
    "voice": ("second", Decimal(60), "answered"),
    "sms": ("segment", Decimal(1), "delivered"),
    "mms": ("message", Decimal(1), "delivered"),
    "email": ("message", Decimal(1), "delivered"),
    "data": ("byte", Decimal(1_000_000), "succeeded"),
    "video": ("participant_second", Decimal(60), "succeeded"),
    "verification": ("verification", Decimal(1), "succeeded"),
}
"""Of each service the unit in which it is counted, how much of it is asked for, and how it ends where it is charged."""

CARRIERS = """
    select distinct carrier_id from tollgate.rate.int_rating_terms_resolved
    where service = $service and direction = $direction and valid_from_at <= $at and valid_until_at > $at
    order by carrier_id
"""
# Nothing that came later may have a say: the decks as they lay on the desk on that day.
DECKS_AS_OF = """
    create table again.int_deck_rows_collected as
    select * from tollgate.stage.int_deck_rows_collected
    where service = $service and direction = $direction and list_contains($carriers, carrier_id)
        and received_at <= $known_at
"""
EVENTS = """
    create table again.int_events_deduplicated as
    select * from tollgate.stage.int_events_deduplicated limit 0;
    insert into again.int_events_deduplicated by name
    select
        unnest($carriers) as carrier_id, 'price:' || carrier_id as event_id, 'price' as feed, '' as account_id,
        $service as service, $direction as direction, $caller as origin, $number as destination,
        $mcc as mcc, $mnc as mnc, $status as event_status, $unit as quantity_unit,
        true as is_final_attempt, true as counts_toward_commitment, $quantity as quantity,
        1 as record_count, false as is_restated, $at as started_at, $at as received_at, $at as loaded_at
"""
PRICES = """
    select
        costs.carrier_id, costs.rating.rating_status as rating_status, costs.rating.unrated_reason as unrated_reason,
        codes.code_name, costs.destination_name, costs.rate_amount, costs.rate_per_quantity, costs.rate_unit,
        costs.has_bands_or_steps, costs.rating.billed_quantity as billed_quantity,
        costs.rating.rated_cost_amount as cost_amount, costs.rating.rated_cost_currency as cost_currency,
        codes.deck_version, codes.applies_from_at
    from again.costs as costs
    left join {codes} as codes on costs.deck_row_id = codes.deck_row_id
    order by costs.rating.rating_status = 'unrated', costs.carrier_id
"""


@dataclass(frozen=True)
class Question:
    """What is asked for. `at`: when it would begin; `known_at`: nothing that was received later is looked at; UTC."""

    number: str
    service: str
    direction: str
    quantity: Decimal
    at: datetime
    known_at: datetime
    caller: str | None = None
    mcc: str | None = None
    mnc: str | None = None


@dataclass(frozen=True)
class Price:
    """A carrier's answer; without a price `unrated_reason` says why. `rate_amount` is None where a code has several."""

    carrier_id: str
    rating_status: str
    unrated_reason: str | None
    code_name: str | None
    destination_name: str | None
    rate_amount: Decimal | None
    rate_per_quantity: int | None
    rate_unit: str | None
    has_bands_or_steps: bool | None
    billed_quantity: Decimal | None
    cost_amount: Decimal | None
    cost_currency: str | None
    deck_version: str | None
    applies_from_at: datetime | None


def prices(warehouse: Path, question: Question) -> list[Price]:
    """What each carrier with terms for the service and direction would take, those without a price last.

    An allowance counts as untouched. Nobody may write the warehouse meanwhile. Raises NotExplained where nothing was
    rated yet or no carrier has such terms.
    """
    with models_applied.engine(warehouse) as connection:
        again = _rated(connection, question, _carriers(connection, question))
        codes = again.table("rate", "int_rate_decks_resolved")
        return [Price(**row) for row in fetch_rows(connection, PRICES.format(codes=codes))]


def explain_price(warehouse: Path, question: Question, carrier: str) -> Explanation:
    """What one carrier would take, step by step. As `prices`."""
    with models_applied.engine(warehouse) as connection:
        known = _carriers(connection, question)
        if carrier not in known:
            raise NotExplained(
                f"{carrier} has no terms for {question.service} {question.direction} at {instant(question.at)} UTC; "
                f"these have: {', '.join(known)}"
            )
        return _PriceExplained(connection, question, carrier).explanation()


def _carriers(connection: duckdb.DuckDBPyConnection, question: Question) -> list[str]:
    asked = {"service": question.service, "direction": question.direction, "at": question.at}
    try:
        connection.execute("select 1 from tollgate.ingest.models_applied limit 0")
        found = [row["carrier_id"] for row in fetch_rows(connection, CARRIERS, **asked)]
    except duckdb.CatalogException:
        raise NotExplained("nothing was rated here yet, or by an earlier version: run `tollgate run`") from None
    if not found:
        raise NotExplained(
            f"no carrier has terms for {question.service} {question.direction} at {instant(question.at)} UTC: "
            "agreements.csv and rating_terms.csv say who has"
        )
    return found


def _rated(connection: duckdb.DuckDBPyConnection, question: Question, carriers: list[str]) -> RatedAgain:
    """One event with each carrier, rated on the decks as they were known."""
    counted_in, _, status = DEFAULTS[question.service]
    asked = {"service": question.service, "direction": question.direction, "carriers": carriers}
    connection.execute("create schema again")
    connection.execute(DECKS_AS_OF, asked | {"known_at": question.known_at})
    made, filled = EVENTS.split(";")
    connection.execute(made)
    connection.execute(
        filled,
        asked
        | {"caller": question.caller, "number": question.number, "mcc": question.mcc, "mnc": question.mnc}
        | {"status": status, "unit": counted_in, "quantity": question.quantity, "at": question.at},
    )
    return RatedAgain(
        connection,
        [f"price:{carrier}" for carrier in carriers],
        int_events_deduplicated="again.int_events_deduplicated",
        int_deck_rows_collected="again.int_deck_rows_collected",
    )


class _PriceExplained(EventExplained):
    """The steps of an event that never was: it has no record, and nobody is charged for it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, question: Question, carrier: str) -> None:
        again = _rated(connection, question, [carrier])
        super().__init__(connection, f"price:{carrier}", again, mask=False)
        self.question = question
        self.told = Explanation("price", f"of {carrier}")

    def explanation(self) -> Explanation:
        question, noun = self.question, NOUNS[self.question.service]
        sentences = [
            f"A {noun}, {question.direction}"
            + (f", from {question.caller}" if question.caller else "")
            + (f", to {question.number}" if question.number else "")
            + f", that begins {instant(question.at)} UTC, with {self._quantity(question.quantity)}.",
            f"By the decks that had been received by {instant(question.known_at)} UTC.",
        ]
        self.told.add("question", sentences, **vars(question))
        self._tell_rating()
        return self.told


def show(console: Console, question: Question, found: list[Price]) -> None:
    """Side by side, as a table; below it why others have no price."""
    noun, unit_name = NOUNS[question.service], DEFAULTS[question.service][0]
    what = f"{noun}, {question.direction}" + (f", to {question.number}" if question.number else "")
    known = f"by the decks received by {instant(question.known_at)} UTC"
    console.print(
        f"{what}, {plain(question.quantity)} {unit(unit_name, question.quantity)}, {instant(question.at)} UTC, {known}",
        highlight=False,
        soft_wrap=True,
    )
    priced = [price for price in found if price.rating_status != "unrated"]
    if priced:
        table = Table(box=None, pad_edge=False)
        for name in ("carrier", "code", "destination", "price", "billed", "cost", "since (UTC)"):
            right = name in ("price", "billed", "cost")
            table.add_column(name, justify="right" if right else "left", no_wrap=name != "destination")
        for price in priced:
            table.add_row(*map(escape, _cells(price)))
        console.print(table, highlight=False)
    for price in found:
        if price.rating_status == "unrated":
            why, remedy = UNRATED.get(price.unrated_reason or "", ("no more is known of it", "look into docs/marts.md"))
            console.print(
                f"{price.carrier_id}: no price ({price.unrated_reason}): {why}; {remedy}",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )


def _cells(price: Price) -> tuple[str, ...]:
    billed, rate = price.billed_quantity or Decimal(0), "several"
    if price.rate_amount is not None and price.rate_unit and price.rate_per_quantity:
        per = price.rate_per_quantity
        rate = f"{plain(price.rate_amount)} / {per} {unit(price.rate_unit, per)}"
    return (
        price.carrier_id,
        price.code_name or "every destination",
        price.destination_name or "",
        rate,
        f"{plain(billed)} {unit(price.rate_unit or '', billed)}",
        f"{plain(price.cost_amount or Decimal(0))} {price.cost_currency}",
        f"{price.applies_from_at:%Y-%m-%d %H:%M}" if price.applies_from_at else "",
    )


def as_json(question: Question, found: list[Price]) -> str:
    """The question and every carrier's answer; amounts and quantities as text, instants in UTC."""
    return figures.as_json({"question": vars(question), "prices": [vars(price) for price in found]})
