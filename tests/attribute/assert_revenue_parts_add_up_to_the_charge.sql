-- Fails if the revenue of the usage groups does not add up to the charges of their plan and month, to a
-- millionth: margins would show money that no statement claims, or hide some. Fees that no usage stands
-- behind can be laid on none.
{{ config(meta={'dagster': {'ref': {'name': 'int_revenue_allocated', 'package': 'tollgate'}}}) }}
with

charges_summed as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date,
        charge_currency,
        sum(charge_amount) as charge_amount
    from {{ ref('int_charges_priced') }}
    where not is_without_usage
    group by partner_agreement_id, plan_id, period_start_date, charge_currency

),

revenue_summed as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date,
        revenue_currency,
        sum(revenue_amount) as revenue_amount
    from {{ ref('int_revenue_allocated') }}
    group by partner_agreement_id, plan_id, period_start_date, revenue_currency

)

select
    coalesce(charges_summed.plan_id, revenue_summed.plan_id) as plan_id,
    coalesce(charges_summed.period_start_date, revenue_summed.period_start_date) as period_start_date,
    charges_summed.charge_amount,
    revenue_summed.revenue_amount
from charges_summed
full outer join revenue_summed
    on
        charges_summed.partner_agreement_id = revenue_summed.partner_agreement_id
        and charges_summed.plan_id = revenue_summed.plan_id
        and charges_summed.period_start_date = revenue_summed.period_start_date
        and charges_summed.charge_currency = revenue_summed.revenue_currency
where
    {{ round_money('charges_summed.charge_amount', 6, "'down'") }}
    is distinct from revenue_summed.revenue_amount
