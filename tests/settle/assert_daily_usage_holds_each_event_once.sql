-- Fails if a day of a carrier shows other events, quantities or costs than were rated: usage would vanish
-- from the reports, or appear twice.
{{ config(meta={'dagster': {'ref': {'name': 'fct_usage_daily', 'package': 'tollgate'}}}) }}
with

events_summed as (

    select
        carrier_id,
        cast(started_at as date) as usage_date,
        count(*) as event_count,
        sum(case when rating_status = 'rated' then 1 else 0 end) as rated_event_count,
        sum(case when rating_status = 'unrated' then 1 else 0 end) as unrated_event_count,
        sum(quantity) as quantity,
        coalesce(sum(billed_quantity), 0) as billed_quantity
    from {{ ref('int_events_rated') }}
    group by carrier_id, cast(started_at as date)

),

days_summed as (

    select
        carrier_id,
        usage_date,
        sum(event_count) as event_count,
        sum(rated_event_count) as rated_event_count,
        sum(not_charged_event_count) as not_charged_event_count,
        sum(unrated_event_count) as unrated_event_count,
        sum(quantity) as quantity,
        sum(billed_quantity) as billed_quantity
    from {{ ref('fct_usage_daily') }}
    group by carrier_id, usage_date

)

select
    coalesce(events_summed.carrier_id, days_summed.carrier_id) as carrier_id,
    coalesce(events_summed.usage_date, days_summed.usage_date) as usage_date,
    events_summed.event_count as rated_events,
    days_summed.event_count as reported_events
from events_summed
full outer join days_summed
    on
        events_summed.carrier_id = days_summed.carrier_id
        and events_summed.usage_date = days_summed.usage_date
where
    events_summed.event_count is distinct from days_summed.event_count
    or events_summed.rated_event_count is distinct from days_summed.rated_event_count
    or events_summed.unrated_event_count is distinct from days_summed.unrated_event_count
    or events_summed.quantity is distinct from days_summed.quantity
    or events_summed.billed_quantity is distinct from days_summed.billed_quantity
    or days_summed.event_count
    != days_summed.rated_event_count + days_summed.not_charged_event_count + days_summed.unrated_event_count
