-- Fails if the events or the cost that lines of a place type and currency should have been differ from those
-- of the usage laid on them, if usage stands on a line of other days, carriers or services than its own, or
-- if more usage bears dial codes than is rated: a total would be compared with half of what it bills.
{{ config(meta={'dagster': {'ref': {'name': 'int_invoice_lines_matched', 'package': 'tollgate'}}}) }}
with

costs as (

    select * from {{ ref('int_costs_expected') }}

),

lines as (

    select * from {{ ref('int_invoice_lines_matched') }}
    where line_type = 'usage' and is_invoiced

),

usage_summed as (

    select
        lines.place_type,
        costs.rated_cost_currency as currency,
        sum(costs.event_count) as event_count,
        sum(costs.rated_cost_amount) as rated_cost_amount
    from costs
    inner join lines
        on costs.invoice_line_id = lines.invoice_line_id
    group by lines.place_type, costs.rated_cost_currency

),

lines_summed as (

    select
        place_type,
        agreement_currency as currency,
        sum(rated_event_count) as event_count,
        sum(rated_cost_amount) as rated_cost_amount
    from lines
    where rated_event_count is not null
    group by place_type, agreement_currency

),

misplaced as (

    select
        lines.invoice_line_id,
        sum(costs.event_count) as event_count
    from costs
    inner join lines
        on costs.invoice_line_id = lines.invoice_line_id
    where
        costs.carrier_id != lines.carrier_id
        or costs.service != lines.service
        or costs.direction != lines.direction
        or costs.rated_cost_currency != lines.agreement_currency
        or costs.carrier_local_date < lines.service_first_date
        or costs.carrier_local_date > lines.service_last_date
        or (lines.place_type = 'destination' and costs.destination_id is distinct from lines.destination_id)
        or (lines.place_type = 'dial_code' and costs.dial_code is null)
        or (lines.place_type = 'dial_code' and costs.dial_code != lines.dial_code)
        or lines.is_repeated
        or lines.invoiced_amount < 0
    group by lines.invoice_line_id

)

select
    coalesce(usage_summed.place_type, lines_summed.place_type) || ' '
    || coalesce(usage_summed.currency, lines_summed.currency) as offender,
    usage_summed.event_count,
    lines_summed.event_count as line_event_count,
    usage_summed.rated_cost_amount,
    lines_summed.rated_cost_amount as line_cost_amount
from usage_summed
full outer join lines_summed
    on
        usage_summed.place_type = lines_summed.place_type
        and usage_summed.currency = lines_summed.currency
where
    usage_summed.event_count is distinct from lines_summed.event_count
    or usage_summed.rated_cost_amount is distinct from lines_summed.rated_cost_amount

union all

select
    'line ' || invoice_line_id as offender,
    event_count,
    0 as line_event_count,
    null as rated_cost_amount,
    null as line_cost_amount
from misplaced

union all

select
    'dial codes of rating group ' || cast(rating_group_id as string) as offender,
    event_count,
    0 as line_event_count,
    rated_cost_amount,
    null as line_cost_amount
from costs
where event_count <= 0 or rated_cost_amount < 0
