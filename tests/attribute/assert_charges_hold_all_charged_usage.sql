-- Fails if the tiers of a plan and month hold another quantity, or other events, than were charged to the
-- partner: usage would be given away, or charged in two tiers.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges_priced', 'package': 'tollgate'}}}) }}
with

usage_summed as (

    select
        partner_agreement_id,
        plan_id,
        {{ month_of('partner_local_date') }} as period_start_date,
        sum(event_count) as event_count,
        sum(charged_quantity) as charged_quantity
    from {{ ref('int_usage_aggregated') }}
    where charge_status = 'charged'
    group by partner_agreement_id, plan_id, {{ month_of('partner_local_date') }}
    -- Calls of no seconds are charged for nothing and enter no tier.
    having sum(charged_quantity) > 0

),

charges_summed as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date,
        sum(event_count) as event_count,
        sum(charged_quantity) as charged_quantity
    from {{ ref('int_charges_priced') }}
    group by partner_agreement_id, plan_id, period_start_date

)

select
    coalesce(usage_summed.plan_id, charges_summed.plan_id) as plan_id,
    coalesce(usage_summed.period_start_date, charges_summed.period_start_date) as period_start_date,
    usage_summed.charged_quantity as used_quantity,
    charges_summed.charged_quantity as priced_quantity
from usage_summed
full outer join charges_summed
    on
        usage_summed.partner_agreement_id = charges_summed.partner_agreement_id
        and usage_summed.plan_id = charges_summed.plan_id
        and usage_summed.period_start_date = charges_summed.period_start_date
where
    usage_summed.charged_quantity is distinct from charges_summed.charged_quantity
    or usage_summed.event_count is distinct from charges_summed.event_count
