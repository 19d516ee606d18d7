-- One row per line of a plan and month and day by which it is read: what had been used by then. A plan
-- that posts corrections to the original period is read on each day of usage, any other once for the whole
-- month. A line of the month as a whole is there without usage too. And one row per line of a month that
-- is not over: what it will hold at its end if usage goes on as it did, priced like the others and charged
-- to nobody.
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

plan_periods as (

    select * from {{ ref('int_plan_periods_derived') }}

),

usage_metered as (

    select * from {{ ref('int_usage_metered') }}

),

booked as (

    select
        charge_line_id,
        charge_currency,
        sum(difference_quantity) as booked_quantity,
        sum(difference_amount) as booked_amount
    from {{ ref('stg_ledger__charges') }}
    group by charge_line_id, charge_currency

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

lines_found as (

    select
        plan_id,
        partner_agreement_id,
        period_start_date,
        line_key
    from usage_metered
    union
    select
        plan_periods.plan_id,
        plan_periods.partner_agreement_id,
        plan_periods.period_start_date,
        '' as line_key
    from plan_periods
    inner join plans
        on plan_periods.plan_id = plans.plan_id
    where coalesce(plans.aggregate_by, 'period') = 'period'

),

-- Usage by its day where that matters, else under the first day of the month.
usage_dated as (

    select
        usage_metered.*,
        case
            when plans.correction_posting = 'original_period' then usage_metered.usage_date
            else usage_metered.period_start_date
        end as reading_date
    from usage_metered
    inner join plans
        on usage_metered.plan_id = plans.plan_id

),

usage_read as (

    select
        lines_found.plan_id,
        lines_found.partner_agreement_id,
        lines_found.period_start_date,
        lines_found.line_key,
        coalesce(usage_dated.reading_date, lines_found.period_start_date) as reading_date,
        coalesce(sum(usage_dated.event_count), 0) as event_count,
        coalesce(sum(usage_dated.charged_quantity), 0) as charged_quantity,
        max(usage_dated.highest_quantity) as highest_quantity,
        coalesce(sum(usage_dated.prorated_quantity), 0) as prorated_quantity,
        coalesce(sum(usage_dated.charged_amount), 0) as charged_amount,
        coalesce(sum(usage_dated.record_price_units), 0) as record_price_units,
        coalesce(sum(usage_dated.counted_price_units), 0) as counted_price_units
    from lines_found
    left join usage_dated
        on
            lines_found.plan_id = usage_dated.plan_id
            and lines_found.partner_agreement_id = usage_dated.partner_agreement_id
            and lines_found.period_start_date = usage_dated.period_start_date
            and lines_found.line_key = usage_dated.line_key
    group by
        lines_found.plan_id,
        lines_found.partner_agreement_id,
        lines_found.period_start_date,
        lines_found.line_key,
        coalesce(usage_dated.reading_date, lines_found.period_start_date)

),

{% set up_to_then -%}
    over (
        partition by plan_id, partner_agreement_id, period_start_date, line_key
        order by reading_date rows between unbounded preceding and current row
    )
{%- endset %}

usage_summed_up as (

    select
        plan_id,
        partner_agreement_id,
        line_key,
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }} || ':' || plan_id
        || case when line_key = '' then '' else ':' || line_key end as charge_line_id,
        reading_date,
        reading_date = max(reading_date) over (
            partition by plan_id, partner_agreement_id, period_start_date, line_key
        ) as is_last_reading,
        sum(event_count) {{ up_to_then }} as event_count,
        cast(sum(charged_quantity) {{ up_to_then }} as decimal(38, 6)) as charged_quantity,
        cast(max(highest_quantity) {{ up_to_then }} as decimal(38, 6)) as highest_quantity,
        cast(sum(prorated_quantity) {{ up_to_then }} as decimal(38, 8)) as prorated_quantity,
        cast(sum(charged_amount) {{ up_to_then }} as decimal(38, 8)) as charged_amount,
        cast(sum(record_price_units) {{ up_to_then }} as {{ wide_integer() }}) as record_price_units,
        cast(sum(counted_price_units) {{ up_to_then }} as {{ wide_integer() }}) as counted_price_units,
        period_start_date
    from usage_read

),

usage_accumulated as (

    select
        usage_summed_up.charge_line_id,
        plan_periods.partner_id,
        usage_summed_up.partner_agreement_id,
        usage_summed_up.plan_id,
        usage_summed_up.line_key,
        usage_summed_up.reading_date,
        usage_summed_up.is_last_reading,
        usage_summed_up.event_count,
        usage_summed_up.charged_quantity,
        -- Where each run prices its own usage: what came since the last booking.
        cast(
            usage_summed_up.charged_quantity
            - case
                when plans.pricing_basis = 'run_quantity' then coalesce(booked.booked_quantity, 0)
                else 0
            end
            as decimal(38, 6)
        ) as priced_quantity,
        case when plans.pricing_basis = 'run_quantity' then coalesce(booked.booked_amount, 0) else 0 end
            as earlier_runs_amount,
        coalesce(usage_summed_up.highest_quantity, 0) as highest_quantity,
        usage_summed_up.prorated_quantity,
        usage_summed_up.charged_amount,
        usage_summed_up.record_price_units,
        usage_summed_up.counted_price_units,
        plan_periods.active_days,
        plan_periods.period_days,
        plan_periods.is_over,
        false as is_projected,
        usage_summed_up.period_start_date
    from usage_summed_up
    inner join plans
        on usage_summed_up.plan_id = plans.plan_id
    inner join plan_periods
        on
            usage_summed_up.plan_id = plan_periods.plan_id
            and usage_summed_up.partner_agreement_id = plan_periods.partner_agreement_id
            and usage_summed_up.period_start_date = plan_periods.period_start_date
    inner join agreements
        on usage_summed_up.partner_agreement_id = agreements.agreement_id
    -- What was booked in another currency is booked back, and nothing of the new one.
    left join booked
        on
            usage_summed_up.charge_line_id = booked.charge_line_id
            and coalesce(plans.currency, agreements.currency) = booked.charge_currency

),

-- In proportion to the time that plan and agreement are in force. What was highest stays, and so does what
-- was counted to the end of the month already; a line of a day or an hour does not grow with the month.
readings_to_project as (

    select
        usage_accumulated.*,
        case when plans.prorates_quantity then 1 else plan_periods.active_seconds end as scale_numerator,
        case when plans.prorates_quantity then 1 else plan_periods.elapsed_seconds end as scale_denominator
    from usage_accumulated
    inner join plans
        on usage_accumulated.plan_id = plans.plan_id
    inner join plan_periods
        on
            usage_accumulated.plan_id = plan_periods.plan_id
            and usage_accumulated.partner_agreement_id = plan_periods.partner_agreement_id
            and usage_accumulated.period_start_date = plan_periods.period_start_date
    where
        usage_accumulated.is_last_reading
        and not usage_accumulated.is_over
        and plan_periods.elapsed_seconds > 0
        and coalesce(plans.aggregate_by, 'period') not in ('day', 'hour')

),

readings_projected as (

    select
        charge_line_id || ':projected' as charge_line_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        line_key,
        reading_date,
        false as is_last_reading,
        event_count,
        cast({{ divide_and_round(
            multiply_exactly('scale_numerator', 'charged_quantity'), 'scale_denominator', 6, "'half_up'"
        ) }} as decimal(38, 6)) as charged_quantity,
        -- Each run prices its own usage: what is still to come is priced with what came since the last one.
        cast(
            priced_quantity + {{ divide_and_round(
                multiply_exactly('scale_numerator - scale_denominator', 'charged_quantity'),
                'scale_denominator', 6, "'half_up'"
            ) }} as decimal(38, 6)
        ) as priced_quantity,
        earlier_runs_amount,
        highest_quantity,
        prorated_quantity,
        cast({{ divide_and_round(
            multiply_exactly('scale_numerator', 'charged_amount'), 'scale_denominator', 8, "'half_up'"
        ) }} as decimal(38, 8)) as charged_amount,
        cast(
            {{ integer_divide('record_price_units * scale_numerator', 'scale_denominator') }}
            as {{ wide_integer() }}
        ) as record_price_units,
        cast(
            {{ integer_divide('counted_price_units * scale_numerator', 'scale_denominator') }}
            as {{ wide_integer() }}
        ) as counted_price_units,
        active_days,
        period_days,
        true as is_over,
        true as is_projected,
        period_start_date
    from readings_to_project

),

usage_read_and_projected as (

    select * from usage_accumulated
    union all
    select * from readings_projected

)

select * from usage_read_and_projected
