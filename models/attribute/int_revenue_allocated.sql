-- One row per usage group that is charged: its part of the partner's charge, by quantity, to a millionth of
-- the currency. The parts of a plan and month add up to its charge exactly.
with

charges as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date,
        charge_currency,
        cast(sum(charge_amount) as {{ exact_amount() }}) as plan_charge_amount
    from {{ ref('int_charges_priced') }}
    group by partner_agreement_id, plan_id, period_start_date, charge_currency

),

groups_with_charges as (

    select
        usage_groups.usage_group_id,
        usage_groups.partner_id,
        usage_groups.service,
        charges.partner_agreement_id,
        charges.plan_id,
        charges.period_start_date,
        charges.charge_currency as revenue_currency,
        usage_groups.charged_quantity,
        charges.plan_charge_amount
    from {{ ref('int_usage_aggregated') }} as usage_groups
    inner join charges
        on
            usage_groups.partner_agreement_id = charges.partner_agreement_id
            and usage_groups.plan_id = charges.plan_id
            and {{ month_of('usage_groups.partner_local_date') }} = charges.period_start_date
    where usage_groups.charge_status = 'charged'

),

revenue_allocated as (

    {{ allocate(
        source='groups_with_charges', total='plan_charge_amount', weight='charged_quantity',
        group_by='partner_agreement_id, plan_id, period_start_date', tie_break='usage_group_id', decimals=6,
        into='revenue_amount'
    ) }}

)

select
    usage_group_id,
    partner_id,
    partner_agreement_id,
    plan_id,
    service,
    revenue_currency,
    revenue_amount,
    period_start_date
from revenue_allocated
