-- One row per partner, billing month, plan and tier: quantity in the tier and what it costs the partner.
-- Rounded once, here.
with

usage_groups as (

    select * from {{ ref('int_usage_aggregated') }}
    where charge_status = 'charged'

),

plans as (

    select * from {{ ref('stg_terms__plans') }}
    where refusal_reason is null

),

plan_tiers as (

    select * from {{ ref('stg_terms__plan_tiers') }}
    where refusal_reason is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

plan_quantities as (

    select
        partner_id,
        partner_agreement_id,
        plan_id,
        {{ month_of('partner_local_date') }} as period_start_date,
        sum(event_count) as plan_event_count,
        cast(sum(charged_quantity) as decimal(18, 3)) as plan_quantity
    from usage_groups
    group by partner_id, partner_agreement_id, plan_id, {{ month_of('partner_local_date') }}

),

tiers_entered as (

    select
        plan_quantities.*,
        plans.service,
        plans.direction,
        plans.country_code,
        plans.pricing_model,
        plans.quantity_unit,
        plans.priced_per_quantity,
        plan_tiers.tier_number,
        plan_tiers.unit_amount,
        plan_tiers.flat_amount,
        agreements.currency as charge_currency,
        agreements.rounding_mode,
        agreements.line_rounding_decimals,
        case
            when plans.pricing_model = 'graduated'
                then
                    least(
                        plan_quantities.plan_quantity,
                        coalesce(plan_tiers.up_to_quantity, plan_quantities.plan_quantity)
                    ) - plan_tiers.above_quantity
            else plan_quantities.plan_quantity
        end as charged_quantity
    from plan_quantities
    inner join plans
        on plan_quantities.plan_id = plans.plan_id
    inner join agreements
        on plan_quantities.partner_agreement_id = agreements.agreement_id
    inner join plan_tiers
        on
            plan_quantities.plan_id = plan_tiers.plan_id
            and plan_quantities.plan_quantity > plan_tiers.above_quantity
            and (
                plans.pricing_model = 'graduated'
                or plan_tiers.up_to_quantity is null
                or plan_quantities.plan_quantity <= plan_tiers.up_to_quantity
            )

),

charges_priced as (

    select
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }}
        || ':' || plan_id || ':' || cast(tier_number as string) as statement_line_id,
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }} as billing_period_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        service,
        direction,
        country_code,
        pricing_model,
        quantity_unit,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        tier_number,
        -- The events of a plan pass through its tiers together, so they are counted once, on its first line.
        case
            when
                row_number() over (
                    partition by partner_agreement_id, plan_id, period_start_date order by tier_number
                ) = 1
                then plan_event_count
            else 0
        end as event_count,
        charged_quantity,
        priced_per_quantity,
        unit_amount,
        flat_amount,
        {{ divide_and_round(
            multiply_exactly('charged_quantity', 'unit_amount')
            ~ ' + ' ~ multiply_exactly('priced_per_quantity', 'flat_amount'),
            'priced_per_quantity', 'line_rounding_decimals', 'rounding_mode'
        ) }} as charge_amount,
        period_start_date
    from tiers_entered

)

select * from charges_priced
