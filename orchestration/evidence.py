"""What stands behind the lines of carriers' invoices, event by event: as we rated it, and as the carrier's way has it.

The models that look for a line's reasons rate sums of like events again. Here their own SQL, as the last run left it,
runs once more on the lines asked for with each event by itself; nothing is rated by another formula.

Belongs here: the tables of the schema `evidence`. Does not belong here: what is said of them (`explain/line.py`), what
leaves the house (`packs/`).
"""

from collections.abc import Iterable

import duckdb

from orchestration import models_applied

FIRST_STEP, LAST_STEP = 0, 8
"""Of the bridge: rated as agreed, and in all that re-rating can move as the carrier does it."""

LINES = """
    create table evidence.lines as
    select * from tollgate.reconcile.int_invoice_lines_matched where invoice_line_id in (select unnest($line_ids))
"""
# A line that we alone expect is a destination that its invoice left out. A total may be of several services.
OWN_EVENTS = """
    create table evidence.own_events as
    with days as (
        select distinct lines.invoice_line_id, costs.agreement_id, costs.service, costs.direction, costs.destination_id,
            costs.dial_code, costs.carrier_local_date
        from evidence.lines
        join tollgate.reconcile.int_costs_expected as costs
            on costs.carrier_id = lines.carrier_id and coalesce(costs.service = lines.service, true)
                and coalesce(costs.direction = lines.direction, true)
                and case
                    when lines.is_invoiced then costs.invoice_line_id = lines.invoice_line_id
                    else costs.omitted_by_invoice_id = lines.invoice_id
                        and costs.agreement_id = lines.agreement_id
                        and costs.destination_id is not distinct from lines.destination_id
                end
    )
    select days.invoice_line_id, events.event_id, events.deck_row_id, events.quantity, events.billed_quantity,
        events.rate_amount, events.rate_per_quantity, events.undivided_cost_amount, events.rated_cost_amount
    from days
    join tollgate.rate.int_events_rated as events
        on events.agreement_id = days.agreement_id and events.service = days.service
            and events.direction = days.direction and events.carrier_local_date = days.carrier_local_date
            and events.destination_id is not distinct from days.destination_id
    left join tollgate.reconcile.int_events_coded as coded on coded.event_id = events.event_id
    where events.rating_status = 'rated' and coded.dial_code is not distinct from days.dial_code
"""
# A number that a shorter code took stands on two lines of the same policy, so all lines of a policy belong together.
QUESTIONED = """
    create table evidence.questioned as
    select * from tollgate.reconcile.int_lines_questioned
    where carrier_policy_id in (
        select carrier_policy_id
        from tollgate.reconcile.int_lines_questioned join evidence.lines using (invoice_line_id)
    )
"""
EVENTS_QUESTIONED = """
    create table evidence.events_questioned as
    select * from tollgate.reconcile.int_events_questioned
    where usage_place_id in (select usage_place_id from evidence.questioned)
"""
# Go on where the steps of a model end, with each event in place of its like events.
RECOUNTED = """
    select *, 1 as event_count
    from usage_stepped
    where is_counted_at_first or is_counted_on_clock or is_counted_in_period
"""
REBILLED = """
    select invoice_line_id, carrier_policy_id, event_id, usage_date, deck_row_id, is_counted_at_first,
        is_counted_on_clock, is_counted_in_period, first_step, last_step as end_step, is_charged, is_repriceable,
        agreed_quantity, increment_method, own_undivided_amount, own_rated_amount, own_per_quantity, attempt_fee_amount,
        minimum_quantity as agreed_minimum_quantity, increment_quantity as agreed_increment_quantity,
        case when is_on_theirs then carrier_quantity else agreed_quantity end as carrier_quantity,
        case when is_on_theirs then carrier_minimum_quantity else minimum_quantity end as carrier_minimum_quantity,
        case when is_on_theirs then carrier_increment_quantity else increment_quantity end
            as carrier_increment_quantity,
        event_count
    from usage_chosen
    where invoice_line_id in (select invoice_line_id from evidence.lines)
"""
# Each event is a line of its own to the model that prices lines.
EVENT_LINES = """
    create table evidence.event_lines as
    select questioned.* replace (questioned.invoice_line_id || chr(31) || events.event_id as invoice_line_id),
        questioned.invoice_line_id as of_line_id, events.event_id
    from evidence.questioned
    join (select distinct invoice_line_id, event_id from evidence.rebilled) as events using (invoice_line_id)
"""
EVENT_USAGE = """
    create table evidence.event_usage as
    select * replace (invoice_line_id || chr(31) || event_id as invoice_line_id) from evidence.rebilled
"""
EVENT_PRICES = """
    create table evidence.event_prices as
    select prices.* replace (event_lines.invoice_line_id as invoice_line_id)
    from evidence.event_lines
    join tollgate.reconcile.int_prices_matched as prices on prices.invoice_line_id = event_lines.of_line_id
"""
ENDS = """
    create table evidence.ends as
    select * from tollgate.reference.bridge_steps where step_number in ($first_step, $last_step)
"""
EVENT_RATINGS = """
    select event_lines.of_line_id as invoice_line_id, event_lines.event_id, usage_priced.step_number,
        usage_priced.billed_quantity, usage_priced.rate_amount, usage_priced.per_quantity,
        usage_priced.undivided_amount, sums.rounded_amount as cost_amount
    from usage_priced
    join evidence.event_lines using (invoice_line_id)
    join sums using (invoice_line_id, step_number)
"""
# What a line is rated from at each step that moves it: like events, and what one of them costs times per_quantity.
USAGE = """
    select usage_priced.invoice_line_id, usage_priced.step_number, billed_quantity, rate_amount, per_quantity,
        undivided_amount, is_repriceable, event_rounding_decimals, event_rounding_mode,
        case when not is_repriceable then own_rated_amount end as kept_cost_amount, sum(event_count) as event_count
    from usage_priced
    where invoice_line_id in (select invoice_line_id from evidence.lines)
    group by all
"""
EVENTS = """
    create view evidence.events as
    with rerated_lines as (
        select distinct invoice_line_id from tollgate.reconcile.int_lines_rerated
    ),
    theirs as (
        select * from evidence.event_ratings semi join rerated_lines using (invoice_line_id) where step_number = 8
    )
    select
        coalesce(ours.invoice_line_id, theirs.invoice_line_id) as invoice_line_id,
        coalesce(ours.event_id, theirs.event_id) as event_id,
        events.started_at, events.origin, events.destination, events.event_status, events.quantity,
        events.quantity_unit, coalesce(ours.deck_row_id, events_rated.deck_row_id) as deck_row_id,
        ours.event_id is not null as is_expected,
        ours.billed_quantity as our_billed_quantity, ours.rate_amount as our_rate_amount,
        ours.rate_per_quantity as our_rate_per_quantity, ours.rated_cost_amount as our_cost_amount,
        rerated_lines.invoice_line_id is not null as is_rerated,
        theirs.billed_quantity as their_billed_quantity, theirs.rate_amount as their_rate_amount,
        theirs.per_quantity as their_rate_per_quantity, theirs.cost_amount as their_cost_amount,
        case when rerated_lines.invoice_line_id is not null
            then coalesce(theirs.cost_amount, 0) - coalesce(ours.rated_cost_amount, 0)
        end as difference_amount
    from evidence.own_events as ours
    full join theirs on theirs.invoice_line_id = ours.invoice_line_id and theirs.event_id = ours.event_id
    join tollgate.stage.int_events_deduplicated as events
        on events.event_id = coalesce(ours.event_id, theirs.event_id)
    join tollgate.rate.int_events_rated as events_rated
        on events_rated.event_id = coalesce(ours.event_id, theirs.event_id)
    left join rerated_lines on rerated_lines.invoice_line_id = coalesce(ours.invoice_line_id, theirs.invoice_line_id)
"""


def gather(connection: duckdb.DuckDBPyConnection, line_ids: Iterable[str]) -> None:
    """Makes the tables of `evidence` for these lines. `connection` has the warehouse attached as `tollgate`."""
    code = models_applied.read(connection, "reconcile")

    def of(model: str, **instead: str) -> str:
        model_code = code[models_applied.relation("reconcile", model)]
        return models_applied.reading(models_applied.without_last_line(model_code), **instead)

    connection.execute("create schema evidence")
    connection.execute(LINES, {"line_ids": list(line_ids)})
    for statement in (OWN_EVENTS, QUESTIONED, EVENTS_QUESTIONED):
        connection.execute(statement)
    read = {"int_lines_questioned": "evidence.questioned", "int_events_questioned": "evidence.events_questioned"}
    connection.execute(f"create table evidence.recounted as {of('int_usage_recounted', **read)} {RECOUNTED}")
    read |= {"int_usage_recounted": "evidence.recounted"}
    connection.execute(f"create table evidence.rebilled as {of('int_usage_rebilled', **read)} {REBILLED}")
    for statement in (EVENT_LINES, EVENT_USAGE, EVENT_PRICES):
        connection.execute(statement)
    connection.execute(ENDS, {"first_step": FIRST_STEP, "last_step": LAST_STEP})
    by_event = of(
        "int_lines_rerated",
        int_lines_questioned="evidence.event_lines",
        int_usage_rebilled="evidence.event_usage",
        int_prices_matched="evidence.event_prices",
        bridge_steps="evidence.ends",
    )
    connection.execute(f"create table evidence.event_ratings as {by_event} {EVENT_RATINGS}")
    by_line = of(
        "int_lines_rerated", int_lines_questioned="evidence.questioned", int_usage_rebilled="evidence.rebilled"
    )
    connection.execute(f"create table evidence.usage as {by_line} {USAGE}")
    connection.execute(EVENTS)
