-- Fails if the daily sums of a carrier's calls hold other calls, quantities or amounts than were matched, or
-- the list of differences another number of them: calls would vanish from the reports, or appear twice.
{{ config(meta={'dagster': {'ref': {'name': 'fct_carrier_calls_daily', 'package': 'tollgate'}}}) }}
with

matches_summed as (

    select
        carrier_id,
        match_class,
        count(event_id) as event_count,
        count(cdr_id) as cdr_count,
        coalesce(sum(billed_quantity), 0) as billed_quantity,
        coalesce(sum(carrier_quantity), 0) as carrier_quantity,
        coalesce(sum(rated_cost_amount), 0) as rated_cost_amount,
        coalesce(sum(carrier_amount), 0) as carrier_amount
    from {{ ref('int_calls_matched') }}
    group by carrier_id, match_class

),

days_summed as (

    select
        carrier_id,
        match_class,
        sum(event_count) as event_count,
        sum(cdr_count) as cdr_count,
        sum(billed_quantity) as billed_quantity,
        sum(carrier_quantity) as carrier_quantity,
        sum(rated_cost_amount) as rated_cost_amount,
        sum(carrier_amount) as carrier_amount
    from {{ ref('fct_carrier_calls_daily') }}
    group by carrier_id, match_class

),

differences_counted as (

    select
        carrier_id,
        match_class,
        count(*) as difference_count
    from {{ ref('fct_carrier_call_differences') }}
    group by carrier_id, match_class

)

select
    coalesce(matches_summed.carrier_id, days_summed.carrier_id) as carrier_id,
    coalesce(matches_summed.match_class, days_summed.match_class) as match_class
from matches_summed
full outer join days_summed
    on
        matches_summed.carrier_id = days_summed.carrier_id
        and matches_summed.match_class = days_summed.match_class
left join differences_counted
    on
        matches_summed.carrier_id = differences_counted.carrier_id
        and matches_summed.match_class = differences_counted.match_class
where
    matches_summed.event_count is distinct from days_summed.event_count
    or matches_summed.cdr_count is distinct from days_summed.cdr_count
    or matches_summed.billed_quantity is distinct from days_summed.billed_quantity
    or matches_summed.carrier_quantity is distinct from days_summed.carrier_quantity
    or matches_summed.rated_cost_amount is distinct from days_summed.rated_cost_amount
    or matches_summed.carrier_amount is distinct from days_summed.carrier_amount
    or (
        matches_summed.match_class != 'exact'
        and differences_counted.difference_count
        is distinct from greatest(matches_summed.event_count, matches_summed.cdr_count)
    )
