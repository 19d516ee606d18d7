-- Fails if the expected costs of a carrier hold other events, quantities or costs than its rated usage: its
-- invoice would be compared with half of our records, or with some of them twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_costs_expected', 'package': 'tollgate'}}}) }}
with

usage_summed as (

    select
        agreement_id,
        rated_cost_currency,
        sum(event_count) as event_count,
        sum(billed_quantity) as billed_quantity,
        sum(undivided_cost_amount) as undivided_cost_amount,
        sum(rated_cost_amount) as rated_cost_amount
    from {{ ref('int_usage_aggregated') }}
    where rating_status = 'rated'
    group by agreement_id, rated_cost_currency

),

costs_summed as (

    select
        agreement_id,
        rated_cost_currency,
        sum(event_count) as event_count,
        sum(billed_quantity) as billed_quantity,
        sum(undivided_cost_amount) as undivided_cost_amount,
        sum(rated_cost_amount) as rated_cost_amount
    from {{ ref('int_costs_expected') }}
    group by agreement_id, rated_cost_currency

)

select
    coalesce(usage_summed.agreement_id, costs_summed.agreement_id) as agreement_id,
    usage_summed.event_count as rated_event_count,
    costs_summed.event_count as expected_event_count,
    usage_summed.rated_cost_amount,
    costs_summed.rated_cost_amount as expected_cost_amount
from usage_summed
full outer join costs_summed
    on
        usage_summed.agreement_id = costs_summed.agreement_id
        and usage_summed.rated_cost_currency = costs_summed.rated_cost_currency
where
    usage_summed.event_count is distinct from costs_summed.event_count
    or usage_summed.billed_quantity is distinct from costs_summed.billed_quantity
    or usage_summed.undivided_cost_amount is distinct from costs_summed.undivided_cost_amount
    or usage_summed.rated_cost_amount is distinct from costs_summed.rated_cost_amount
