-- One row per reading of a line: what it comes to. In this order, each step from the one before:
--     price of its tiers, less the discount, rounded        used
--     the same of what counts toward the commitment         counted
--     the part of counted above the commitment x overage, rounded; or the commitment less counted, rounded,
--     as true-up, once the month is over and on its last reading
--     cut to the maximum
{% set with_overage -%}
    (
        cast(used_amount * 1000000000000 as {{ wide_integer() }}) * commitment_denominator * 1000000
        + above_commitment_units * cast((overage_ratio - 1) * 1000000 as {{ wide_integer() }})
    )
{%- endset %}

-- Decimals are agreed for the agreement's own currency. In that of a plan they are its minor unit's.
{% set agreed_decimals -%}
    case
        when plans.currency != agreements.currency then plans.minor_unit_decimals
        else agreements.line_rounding_decimals
    end
{%- endset %}

with

plans as (

    select
        plan_rows.*,
        currencies.minor_unit_decimals
    from {{ ref('int_plans_resolved') }} as plan_rows
    left join {{ ref('currencies') }} as currencies
        on plan_rows.currency = currencies.currency_code
    where plan_rows.refusal_reason is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

tiers_summed as (

    select
        charge_line_id,
        reading_date,
        max(price_per) as price_per,
        max(quantity_per) as quantity_per,
        cast(sum(price_units) as {{ wide_integer() }}) as price_units,
        max(converted_units) as converted_units,
        max(billable_units) as billable_units
    from {{ ref('int_tiers_priced') }}
    group by charge_line_id, reading_date

),

lines_summed as (

    select
        readings.charge_line_id,
        readings.partner_id,
        readings.partner_agreement_id,
        readings.plan_id,
        readings.line_key,
        readings.reading_date,
        readings.is_last_reading,
        readings.is_projected,
        readings.event_count,
        readings.charged_quantity,
        readings.earlier_runs_amount,
        readings.is_over,
        readings.period_start_date,
        plans.pricing_model,
        plans.minimum_commitment_amount,
        plans.trues_up,
        plans.overage_ratio,
        plans.maximum_amount,
        plans.free_quantity,
        coalesce(plans.currency, agreements.currency) as charge_currency,
        agreements.rounding_mode,
        {{ agreed_decimals }} as line_rounding_decimals,
        coalesce(plans.line_rounding_mode, agreements.rounding_mode) as plan_rounding_mode,
        coalesce(plans.line_rounding_decimals, {{ agreed_decimals }}) as plan_rounding_decimals,
        tiers_summed.price_units,
        tiers_summed.price_per,
        tiers_summed.converted_units,
        tiers_summed.billable_units,
        tiers_summed.quantity_per,
        case
            when plans.pricing_model = 'lines' then readings.counted_price_units
            else tiers_summed.price_units
        end as counted_units,
        -- In millionths only where there is a discount, to keep the numbers small.
        case
            when plans.discount_ratio = 0 then 1
            else cast((1 - plans.discount_ratio) * 1000000 as integer)
        end as due_numerator,
        case when plans.discount_ratio = 0 then 1 else 1000000 end as due_denominator,
        case when plans.prorates_commitment then readings.active_days else 1 end as commitment_numerator,
        case when plans.prorates_commitment then readings.period_days else 1 end as commitment_denominator
    from {{ ref('int_usage_accumulated') }} as readings
    inner join tiers_summed
        on
            readings.charge_line_id = tiers_summed.charge_line_id
            and readings.reading_date = tiers_summed.reading_date
    inner join plans
        on readings.plan_id = plans.plan_id
    inner join agreements
        on readings.partner_agreement_id = agreements.agreement_id

),

lines_rounded as (

    select
        *,
        {{ price_rounded('price_units', 'price_per', 'plan_rounding_decimals', 'plan_rounding_mode') }}
            as price_amount,
        {{ price_rounded(
            '(price_units * due_numerator)', '(price_per * due_denominator)',
            'plan_rounding_decimals', 'plan_rounding_mode'
        ) }} as used_amount,
        {{ price_rounded(
            '(counted_units * due_numerator)', '(price_per * due_denominator)',
            'plan_rounding_decimals', 'plan_rounding_mode'
        ) }} as counted_amount
    from lines_summed

),

-- The distance to the commitment, times its denominator, in whole 10^-12; a fraction of days has no end.
commitments_compared as (

    select
        *,
        cast(counted_amount * 1000000000000 as {{ wide_integer() }}) * commitment_denominator
        - {{ price_units('minimum_commitment_amount') }} * 10000 * commitment_numerator
            as above_commitment_units
    from lines_rounded

),

commitments_applied as (

    select
        *,
        case
            when above_commitment_units >= 0 and overage_ratio != 1
                then {{ round_units(
                    'abs(' ~ with_overage ~ ')', '(commitment_denominator * cast(1000000 as ' ~ wide_integer() ~ '))',
                    'plan_rounding_decimals', 'plan_rounding_mode', with_overage
                ) }} - used_amount
            else cast(0 as {{ exact_amount() }})
        end as overage_amount,
        case
            when above_commitment_units < 0
                then {{ round_units(
                    'abs(above_commitment_units)', 'commitment_denominator',
                    'plan_rounding_decimals', 'plan_rounding_mode', 1
                ) }}
            else cast(0 as {{ exact_amount() }})
        end as below_commitment_amount
    from commitments_compared

),

true_ups_applied as (

    select
        *,
        case
            when trues_up and is_over and (is_last_reading or is_projected) then below_commitment_amount
            else cast(0 as {{ exact_amount() }})
        end as true_up_amount
    from commitments_applied

),

charge_lines_priced as (

    select
        charge_line_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        line_key,
        pricing_model,
        reading_date,
        is_last_reading,
        is_projected,
        event_count,
        charged_quantity,
        -- In the plan's unit.
        cast(
            {{ round_units(
                'abs(converted_units) * 10000', 'quantity_per', 6, "'half_up'", 'converted_units'
            ) }} as decimal(38, 6)
        ) as converted_quantity,
        free_quantity,
        -- After conversion, rounding and what is free.
        {{ round_units(
            'abs(billable_units) * 10000', 'quantity_per', 12, "'half_up'", 'billable_units'
        ) }} as billable_quantity,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        plan_rounding_mode,
        plan_rounding_decimals,
        price_amount,
        used_amount - price_amount as discount_amount,
        overage_amount,
        true_up_amount,
        -- What is committed to, by the days in force where it is prorated; null without a commitment.
        {{ round_units(
            '(' ~ price_units('minimum_commitment_amount') ~ ' * 10000 * commitment_numerator)',
            'commitment_denominator', 12, "'half_up'", 1
        ) }} as committed_amount,
        counted_amount,
        below_commitment_amount,
        trues_up,
        is_over,
        -- Negative, or 0.
        coalesce(least(maximum_amount - (used_amount + overage_amount + true_up_amount), 0), 0) as cut_amount,
        earlier_runs_amount,
        earlier_runs_amount + least(
            used_amount + overage_amount + true_up_amount,
            coalesce(maximum_amount, used_amount + overage_amount + true_up_amount)
        ) as line_amount,
        period_start_date
    from true_ups_applied

)

select * from charge_lines_priced
