-- One row per plan of a partner and billing month that is not over, as of the last record that came in: what
-- its usage comes to so far, what is left of commitment and free quantity, and what the month will come to if
-- usage goes on as it did.
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

plan_periods as (

    select * from {{ ref('int_plan_periods_derived') }}
    where not is_over

),

lines_summed as (

    select
        plan_id,
        partner_agreement_id,
        period_start_date,
        min(charge_currency) as charge_currency,
        min(plan_rounding_decimals) as plan_rounding_decimals,
        min(plan_rounding_mode) as plan_rounding_mode,
        sum(case when is_last_reading then event_count else 0 end) as event_count,
        sum(case when is_last_reading then converted_quantity else 0 end) as used_quantity,
        sum(case when is_last_reading then greatest(free_quantity - converted_quantity, 0) end)
            as free_quantity_left,
        sum(case when is_last_reading then line_amount else 0 end) as charge_amount,
        sum(
            case
                when is_last_reading and committed_amount is not null then below_commitment_amount
            end
        ) as commitment_left_amount,
        count_if(is_projected) as projected_line_count,
        sum(case when is_projected then converted_quantity end) as projected_quantity,
        sum(case when is_projected then line_amount end) as projected_charge_amount,
        sum(case when is_projected then true_up_amount end) as projected_true_up_amount
    from {{ ref('int_charge_lines_priced') }}
    group by plan_id, partner_agreement_id, period_start_date

),

periods_joined as (

    select
        plan_periods.partner_agreement_id || ':' || {{ month_name_of('plan_periods.period_start_date') }}
            as billing_period_id,
        plan_periods.partner_id,
        plan_periods.elapsed_seconds,
        plan_periods.active_seconds,
        plan_periods.known_until_at,
        plans.service,
        plans.direction,
        plans.country_code,
        plans.pricing_model,
        plans.quantity_unit,
        plans.aggregate_by in ('day', 'hour') as is_of_days,
        lines_summed.*
    from plan_periods
    inner join lines_summed
        on
            plan_periods.plan_id = lines_summed.plan_id
            and plan_periods.partner_agreement_id = lines_summed.partner_agreement_id
            and plan_periods.period_start_date = lines_summed.period_start_date
    inner join plans
        on plan_periods.plan_id = plans.plan_id

),

-- Lines of days and hours do not grow: there will be more of them. Before the first record of its validity a
-- plan has nothing to go on from.
projections_completed as (

    select
        *,
        case
            when projected_line_count > 0 then projected_quantity
            when is_of_days and elapsed_seconds > 0
                then {{ divide_and_round(
                    multiply_exactly('active_seconds', 'used_quantity'), 'elapsed_seconds', 6, "'half_up'"
                ) }}
        end as quantity_at_the_end,
        case
            when projected_line_count > 0 then projected_charge_amount
            when is_of_days and elapsed_seconds > 0
                then {{ divide_and_round(
                    multiply_exactly('active_seconds', 'charge_amount'), 'elapsed_seconds',
                    'plan_rounding_decimals', 'plan_rounding_mode'
                ) }}
        end as charge_at_the_end_amount
    from periods_joined

),

fct_partner_running_charges as (

    select
        billing_period_id || ':' || plan_id as running_charge_id,
        partner_id,
        billing_period_id,
        plan_id,
        service,
        direction,
        country_code,
        pricing_model,
        quantity_unit,
        cast(event_count as bigint) as event_count,
        cast(used_quantity as decimal(38, 6)) as used_quantity,
        cast(free_quantity_left as decimal(38, 6)) as free_quantity_left,
        cast(quantity_at_the_end as decimal(38, 6)) as projected_quantity,
        cast(charge_amount as {{ exact_amount() }}) as charge_amount,
        cast(commitment_left_amount as {{ exact_amount() }}) as commitment_left_amount,
        cast(charge_at_the_end_amount as {{ exact_amount() }}) as projected_charge_amount,
        cast(coalesce(projected_true_up_amount, 0) as {{ exact_amount() }}) as projected_true_up_amount,
        charge_currency,
        cast(elapsed_seconds as bigint) as elapsed_seconds,
        cast(active_seconds as bigint) as active_seconds,
        known_until_at,
        period_start_date
    from projections_completed

)

select * from fct_partner_running_charges
