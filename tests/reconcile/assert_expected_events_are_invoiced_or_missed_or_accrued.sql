-- Fails if an event that we expect to pay for stands behind no invoice line, behind no line that the carrier
-- left out and in no accrual, or behind two of them: its cost would be forgotten, or expected twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_accruals_estimated', 'package': 'tollgate'}}}) }}
with

places as (

    select
        carrier_id,
        rated_event_count as event_count
    from {{ ref('int_invoice_lines_matched') }}
    where rated_event_count is not null
    union all
    select
        carrier_id,
        event_count
    from {{ ref('int_accruals_estimated') }}
    where fee_name is null

),

places_summed as (

    select
        carrier_id,
        sum(event_count) as placed_event_count
    from places
    group by carrier_id

),

expected_summed as (

    select
        carrier_id,
        sum(event_count) as expected_event_count
    from {{ ref('int_costs_expected') }}
    group by carrier_id

)

select
    coalesce(expected_summed.carrier_id, places_summed.carrier_id) as carrier_id,
    expected_summed.expected_event_count,
    places_summed.placed_event_count
from expected_summed
full outer join places_summed
    on expected_summed.carrier_id = places_summed.carrier_id
where expected_summed.expected_event_count is distinct from places_summed.placed_event_count
