-- One row per plan and day with charged usage: its part of the charge of the plan's month, by quantity, to a
-- millionth of the currency. The parts of a plan and month add up to its charge exactly.
with

charge_groups as (

    select * from {{ ref('int_charges_grouped') }}
    where charge_status = 'charged'

),

charges as (

    select
        partner_agreement_id,
        plan_id,
        service,
        period_start_date,
        charge_currency,
        cast(sum(charge_amount) as {{ exact_amount() }}) as plan_charge_amount
    from {{ ref('int_charges_priced') }}
    group by partner_agreement_id, plan_id, service, period_start_date, charge_currency

),

days_summed as (

    select
        charge_group_id,
        partner_local_date,
        cast(sum(charged_quantity) as decimal(38, 6)) as charged_quantity
    from {{ ref('int_usage_summed') }}
    group by charge_group_id, partner_local_date

),

days_with_charges as (

    select
        days_summed.charge_group_id,
        charge_groups.partner_id,
        charges.partner_agreement_id,
        charges.plan_id,
        charges.service,
        charges.charge_currency as revenue_currency,
        days_summed.charged_quantity,
        charges.plan_charge_amount,
        days_summed.partner_local_date,
        charges.period_start_date
    from days_summed
    inner join charge_groups
        on days_summed.charge_group_id = charge_groups.charge_group_id
    inner join charges
        on
            charge_groups.partner_agreement_id = charges.partner_agreement_id
            and charge_groups.plan_id = charges.plan_id
            and {{ month_of('days_summed.partner_local_date') }} = charges.period_start_date

),

revenue_allocated as (

    {{ allocate(
        source='days_with_charges', total='plan_charge_amount', weight='charged_quantity',
        group_by='partner_agreement_id, plan_id, period_start_date', tie_break='partner_local_date', decimals=6,
        into='revenue_amount'
    ) }}

)

select
    charge_group_id,
    partner_id,
    partner_agreement_id,
    plan_id,
    service,
    charged_quantity,
    revenue_currency,
    revenue_amount,
    partner_local_date,
    period_start_date
from revenue_allocated
