"""The pack of a dispute: letter, clause and deadline, lines with their bridges, days, and the events that prove it.

Lines, components and disputes are those that were published. The search behind them, the terms and the single events
are not published; they are the warehouse's, held against what is.

Belongs here: what goes to a carrier. Does not belong here: the bridge and its proofs (`bridge.py`), the events behind a
line (`evidence.py`).
"""

from datetime import date
from typing import Any

import duckdb
import pyarrow

from orchestration import bridge, evidence, models_applied
from orchestration.figures import masked, plain
from orchestration.packs import NoPack, Pack, check_published, sender_name
from orchestration.packs.tables import Table
from orchestration.sql import fetch_rows

Row = dict[str, Any]

SHOWN_LINES = 15
SHOWN_EVENTS = 8

TABLES = [
    Table("disputes", "One row per dispute: amount, clause, tolerance, deadline."),
    Table("lines", "One row per disputed invoice line: what it states, what our records make of it."),
    Table("bridge", "One row per line and cause of its variance, in the order of the walk, with the proof."),
    Table("days", "One row per line and day on the agreement's clock: events, quantity and cost of both sides."),
    Table("events", "One row per event behind a disputed line, numbers without their last four digits."),
    Table("steps", "One row per line and step of the bridge that rates its usage again: what the line comes to."),
    Table("usage", "What each step is rated from: like events, and what one of them costs times rate_per_quantity."),
]

DISPUTES = """
    select disputes.*, periods.period_start_date
    from published.settle.fct_disputes as disputes
    left join published.settle.dim_billing_periods as periods using (billing_period_id)
    order by dispute_id
"""
CARRIER = "select * from published.settle.dim_carriers where carrier_id = $carrier_id"
LINE_IDS = """
    select distinct invoice_line_id from published.settle.fct_variance_components
    where list_contains($dispute_ids, dispute_id) order by invoice_line_id
"""
# Goes on where the steps of int_disputes_raised end: the clause that held.
PACK_DISPUTES = """
    select disputes.* exclude (carrier_id), raised.agreement_id,
        coalesce(
            (
                select min_by(tolerances.cause, tolerances.cause = '*')
                from tollgate.stage.stg_terms__tolerances as tolerances
                where tolerances.agreement_id = raised.agreement_id and tolerances.refusal_reason is null
                    and tolerances.cause in (disputes.cause, '*')
            ), 'none'
        ) as clause,
        raised.tolerance_amount, raised.tolerance_ratio, raised.raise_within_days, raised.raise_after_months,
        raised.invoice_amount
    from published.settle.fct_disputes as disputes
    join tollgate.reconcile.int_disputes_raised as kept using (dispute_id)
    join tolerances_compared as raised
        on raised.invoice_id = kept.invoice_id and raised.billing_period_id = kept.billing_period_id
            and raised.cause = kept.cause
    where list_contains($dispute_ids, disputes.dispute_id)
    order by disputes.dispute_id
"""
PACK_LINES = """
    create table pack.lines as
    select lines.* exclude (carrier_id, destination_id, invoice_version), matched.agreement_id,
        matched.agreement_currency, matched.rounding_mode, matched.agreement_rounding_decimals,
        matched.line_rounding_decimals,
        case when matched.agreement_currency != matched.invoice_currency then matched.agreement_units_per_base end
            as agreement_units_per_base,
        case when matched.agreement_currency != matched.invoice_currency then matched.invoice_units_per_base end
            as invoice_units_per_base
    from published.settle.fct_carrier_invoice_lines as lines
    join evidence.lines as matched using (invoice_line_id)
    order by lines.invoice_number, lines.line_number nulls last, invoice_line_id
"""
PACK_BRIDGE = """
    create table pack.bridge as
    with rerated as (
        select invoice_line_id, cause, sum(step_variance_amount) as rerated_variance_amount
        from tollgate.reconcile.int_lines_rerated where step_number > 0 group by invoice_line_id, cause
    )
    select components.invoice_line_id, proofs.position, components.cause, components.component_variance_amount,
        cast(coalesce(rerated.rerated_variance_amount, 0) as decimal(18, 6)) as rerated_variance_amount,
        cast(components.component_variance_amount - coalesce(rerated.rerated_variance_amount, 0) as decimal(18, 6))
            as stated_variance_amount,
        cast(proofs.amount_after as decimal(18, 6)) as amount_after, components.invoice_currency,
        components.dispute_id, proofs.proof
    from published.settle.fct_variance_components as components
    join proofs using (invoice_line_id, cause)
    left join rerated using (invoice_line_id, cause)
    order by components.invoice_line_id, proofs.position
"""
PACK_STEPS = """
    create table pack.steps as
    select steps.invoice_line_id, steps.step_number, steps.cause, cast(steps.event_count as bigint) as event_count,
        steps.billed_quantity, lines.quantity_unit, cast(steps.amount as decimal(18, 6)) as rerated_amount,
        lines.invoice_currency
    from tollgate.reconcile.int_lines_rerated as steps
    join evidence.lines using (invoice_line_id)
    where steps.step_number = 0 or steps.step_variance_amount != 0
    order by steps.invoice_line_id, steps.step_number
"""
PACK_USAGE = """
    create table pack.usage as
    select usage.invoice_line_id, usage.step_number, cast(usage.event_count as bigint) as event_count,
        usage.billed_quantity, usage.rate_amount, usage.per_quantity as rate_per_quantity, usage.undivided_amount,
        usage.kept_cost_amount, usage.event_rounding_decimals, usage.event_rounding_mode,
        lines.agreement_currency as rate_currency
    from evidence.usage
    join pack.steps using (invoice_line_id, step_number)
    join evidence.lines using (invoice_line_id)
    order by all
"""
ALL_EVENTS = """
    create temp view all_events as
    select events.*, lines.agreement_currency as cost_currency, lines.invoice_number, lines.line_number,
        cast(events.started_at at time zone 'UTC' at time zone coalesce(agreements.time_zone, 'UTC') as date)
            as local_date
    from evidence.events
    join evidence.lines using (invoice_line_id)
    left join tollgate.stage.stg_terms__agreements as agreements using (agreement_id)
"""
PACK_DAYS = """
    create table pack.days as
    select invoice_line_id, local_date, count_if(is_expected) as our_event_count,
        coalesce(sum(our_billed_quantity), 0) as our_quantity, coalesce(sum(our_cost_amount), 0) as our_cost_amount,
        case when any_value(is_rerated) then count(their_cost_amount) end as their_event_count,
        case when any_value(is_rerated) then coalesce(sum(their_billed_quantity), 0) end as their_quantity,
        case when any_value(is_rerated) then coalesce(sum(their_cost_amount), 0) end as their_cost_amount,
        sum(difference_amount) as difference_amount, any_value(cost_currency) as cost_currency
    from all_events group by invoice_line_id, local_date order by invoice_line_id, local_date
"""
# Our id of an event may hold what is no business of the carrier's; its hash is enough to find it again.
PACK_EVENTS = """
    create table pack.events as
    select invoice_line_id, substring(md5(event_id), 1, 16) as event_reference, started_at,
        masked(origin) as origin, masked(destination) as destination, event_status, quantity, quantity_unit,
        our_billed_quantity, our_rate_amount, our_rate_per_quantity, our_cost_amount,
        their_billed_quantity, their_rate_amount, their_rate_per_quantity, their_cost_amount, difference_amount,
        cost_currency
    from all_events
    qualify $limit is null or row_number() over (
        partition by invoice_line_id order by abs(coalesce(difference_amount, 0)) desc, event_id
    ) <= $limit
    order by invoice_line_id, started_at, event_reference
"""
TOTALS = "select dispute_id as id, dispute_amount as amount from pack.disputes"

DAY_TOTALS = """
    select days.local_date, sum(our_event_count) as our_event_count, sum(our_quantity) as our_quantity,
        sum(our_cost_amount) as our_cost_amount, sum(their_event_count) as their_event_count,
        sum(their_quantity) as their_quantity, sum(their_cost_amount) as their_cost_amount,
        sum(difference_amount) as difference_amount, cost_currency
    from pack.days join pack.lines using (invoice_line_id)
    where days.difference_amount is not null
    group by days.local_date, cost_currency order by cost_currency, days.local_date
"""
DISPUTED_LINES = """
    select lines.*, bridge.component_variance_amount as disputed_amount, bridge.proof
    from pack.bridge join pack.lines using (invoice_line_id)
    where bridge.dispute_id = $dispute_id
    order by abs(bridge.component_variance_amount) desc, lines.invoice_line_id limit $limit
"""
# On a line that has other causes too, an event differs by all of them: such lines come last.
DISPUTED_EVENTS = """
    with lines as (
        select invoice_line_id, count(*) as cause_count from pack.bridge
        group by invoice_line_id having bool_or(dispute_id = $dispute_id)
    )
    select events.*
    from pack.events join lines using (invoice_line_id)
    where events.difference_amount != 0
    order by lines.cause_count > 1, abs(events.difference_amount) desc, events.event_reference limit $limit
"""


def choose(
    connection: duckdb.DuckDBPyConnection, dispute_id: str | None, carrier_id: str | None, month: date | None
) -> list[Row]:
    """The disputes that are meant. Raises NoPack where there is none, naming those that there are."""
    known = fetch_rows(connection, DISPUTES)
    if dispute_id is not None:
        found = [row for row in known if row["dispute_id"] == dispute_id]
        if not found:
            ids = ", ".join(row["dispute_id"] for row in known) or "none"
            raise NoPack(f"there is no dispute {dispute_id}; published are {ids}")
        return found
    found = [
        row
        for row in known
        if row["carrier_id"] == carrier_id
        and month in (None, row["period_start_date"])
        and row["dispute_status"] != "credited"
    ]
    if not found:
        carriers = ", ".join(sorted({row["carrier_id"] for row in known})) or "none"
        of_month = f" of {month:%Y-%m}" if month else ""
        raise NoPack(f"nothing{of_month} is open in dispute with {carrier_id!r}; with disputes: {carriers}")
    return found


def gather(
    connection: duckdb.DuckDBPyConnection,
    disputes: list[Row],
    event_limit: int | None = None,
    sender: str | None = None,
) -> Pack:
    """Everything that goes to the carrier of these disputes; of a line's events at most `event_limit`."""
    dispute_ids = [row["dispute_id"] for row in disputes]
    (carrier_id,) = {row["carrier_id"] for row in disputes}
    line_ids = [row["invoice_line_id"] for row in fetch_rows(connection, LINE_IDS, dispute_ids=dispute_ids)]
    check_published(connection, "fct_disputes", "list_contains($ids, dispute_id)", ids=dispute_ids)
    for table in ("fct_carrier_invoice_lines", "fct_variance_components"):
        check_published(connection, table, "list_contains($ids, invoice_line_id)", ids=line_ids)
    evidence.gather(connection, line_ids)
    proofs = bridge.bridges(connection, bridge.Proofs(connection))
    _give_proofs(connection, proofs)
    connection.create_function("masked", _masked, ["VARCHAR"], "VARCHAR")
    code = models_applied.read(connection, "reconcile")
    steps = models_applied.without_last_line(code[models_applied.relation("reconcile", "int_disputes_raised")])
    connection.execute(f"create table pack.disputes as {steps} {PACK_DISPUTES}", {"dispute_ids": dispute_ids})
    for statement in (PACK_LINES, PACK_BRIDGE, PACK_STEPS, PACK_USAGE, ALL_EVENTS, PACK_DAYS):
        connection.execute(statement)
    connection.execute(PACK_EVENTS, {"limit": event_limit})
    (carrier,) = fetch_rows(connection, CARRIER, carrier_id=carrier_id)
    return Pack(
        kind="dispute",
        subject=dispute_ids[0] if len(dispute_ids) == 1 else carrier_id,
        page="letter.html",
        template="dispute_letter.html.j2",
        tables=TABLES,
        totals=TOTALS,
        facts={
            "carrier": carrier,
            "sender": sender or sender_name(connection),
            "disputes": [_told(connection, row) for row in fetch_rows(connection, "from pack.disputes")],
            "days": fetch_rows(connection, DAY_TOTALS),
            "event_limit": event_limit,
        },
    )


def _masked(number: str) -> str:
    """A number as the carrier may see it. A sender's name in place of a number says who our customer is."""
    return masked(number, number) if number.isdigit() or "@" in number else "****"


def _give_proofs(connection: duckdb.DuckDBPyConnection, bridges: dict[str, bridge.Bridge]) -> None:
    """The proofs as a table `proofs`."""
    rows = [
        {
            "invoice_line_id": line_id,
            "cause": component.cause,
            "position": position,
            "amount_after": plain(component.amount_after),
            "proof": " ".join(component.proof),
        }
        for line_id, found in bridges.items()
        for position, component in enumerate(found.components, start=1)
    ]
    connection.register("proofs_given", pyarrow.Table.from_pylist(rows))
    connection.execute(
        "create temp table proofs as select * replace (cast(amount_after as decimal(18, 6)) as amount_after) "
        "from proofs_given"
    )


def _told(connection: duckdb.DuckDBPyConnection, dispute: Row) -> Row:
    """A dispute with what the letter says of it."""
    key = {"dispute_id": dispute["dispute_id"]}
    lines = fetch_rows(connection, DISPUTED_LINES, **key, limit=SHOWN_LINES)
    return dispute | {
        "words": bridge.CAUSES[dispute["cause"]],
        "lines": lines,
        "events": fetch_rows(connection, DISPUTED_EVENTS, **key, limit=SHOWN_EVENTS),
        "proof": lines[0]["proof"],
    }
