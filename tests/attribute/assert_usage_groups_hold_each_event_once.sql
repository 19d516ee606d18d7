-- Fails if the usage groups hold other events, quantities or costs than the rated events: every later sum
-- starts from them, so every later sum would be wrong.
{{ config(meta={'dagster': {'ref': {'name': 'int_usage_aggregated', 'package': 'tollgate'}}}) }}
with

events_summed as (

    select
        service,
        direction,
        carrier_id,
        rating_status,
        coalesce(rated_cost_currency, '') as rated_cost_currency,
        count(*) as event_count,
        sum(quantity) as quantity,
        coalesce(sum(billed_quantity), 0) as billed_quantity,
        coalesce(sum(undivided_cost_amount), 0) as undivided_cost_amount,
        coalesce(sum(rated_cost_amount), 0) as rated_cost_amount
    from {{ ref('int_events_rated') }}
    group by service, direction, carrier_id, rating_status, rated_cost_currency

),

charges_summed as (

    select
        service,
        direction,
        carrier_id,
        rating_status,
        coalesce(rated_cost_currency, '') as rated_cost_currency,
        sum(charged_quantity) as charged_quantity
    from {{ ref('int_events_attributed') }}
    group by service, direction, carrier_id, rating_status, rated_cost_currency

),

groups_summed as (

    select
        service,
        direction,
        carrier_id,
        rating_status,
        coalesce(rated_cost_currency, '') as rated_cost_currency,
        sum(event_count) as event_count,
        sum(quantity) as quantity,
        sum(billed_quantity) as billed_quantity,
        sum(charged_quantity) as charged_quantity,
        sum(undivided_cost_amount) as undivided_cost_amount,
        sum(rated_cost_amount) as rated_cost_amount
    from {{ ref('int_usage_aggregated') }}
    group by service, direction, carrier_id, rating_status, rated_cost_currency

)

select
    coalesce(events_summed.carrier_id, groups_summed.carrier_id) as carrier_id,
    events_summed.event_count as events,
    groups_summed.event_count as grouped_events,
    events_summed.rated_cost_amount as events_cost_amount,
    groups_summed.rated_cost_amount as groups_cost_amount
from events_summed
full outer join groups_summed
    on
        events_summed.service = groups_summed.service
        and events_summed.direction = groups_summed.direction
        and events_summed.carrier_id = groups_summed.carrier_id
        and events_summed.rating_status = groups_summed.rating_status
        and events_summed.rated_cost_currency = groups_summed.rated_cost_currency
left join charges_summed
    on
        groups_summed.service = charges_summed.service
        and groups_summed.direction = charges_summed.direction
        and groups_summed.carrier_id = charges_summed.carrier_id
        and groups_summed.rating_status = charges_summed.rating_status
        and groups_summed.rated_cost_currency = charges_summed.rated_cost_currency
where
    events_summed.event_count is distinct from groups_summed.event_count
    or events_summed.quantity is distinct from groups_summed.quantity
    or events_summed.billed_quantity is distinct from groups_summed.billed_quantity
    or charges_summed.charged_quantity is distinct from groups_summed.charged_quantity
    or events_summed.undivided_cost_amount is distinct from groups_summed.undivided_cost_amount
    or events_summed.rated_cost_amount is distinct from groups_summed.rated_cost_amount
