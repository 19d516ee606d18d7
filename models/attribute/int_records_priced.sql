-- One row per record of int_records_metered with what it costs by itself, where its plan prices each event,
-- and where it leads the running total. Costs are whole 10^-16 (macro price_units).
--     percentage: (amount less what is free of it) x ratio + fee, not below the event's minimum, not above
--     its maximum, then rounded; a wholly free event costs nothing
--     lines: its amount, rounded
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

-- These models have one tier, or none.
ratios as (

    select
        plan_id,
        rate_ratio
    from {{ ref('stg_terms__plan_tiers') }}
    where refusal_reason is null and tier_number = 1

),

records_in_order as (

    select
        records.*,
        plans.pricing_model,
        plans.free_events,
        plans.free_amount,
        plans.event_fee_amount,
        plans.minimum_event_amount,
        plans.maximum_event_amount,
        plans.record_rounding_mode,
        plans.record_rounding_decimals,
        coalesce(ratios.rate_ratio, 0) as rate_ratio,
        row_number() over (
            partition by
                records.partner_agreement_id, records.plan_id, records.period_start_date, records.line_key
            order by records.started_at, records.record_id
        ) as record_position,
        sum(records.charged_quantity) over (
            partition by
                records.partner_agreement_id, records.plan_id, records.period_start_date, records.line_key
            order by records.started_at, records.record_id
            rows between unbounded preceding and current row
        ) as running_quantity,
        coalesce(
            sum(records.charged_amount) over (
                partition by
                    records.partner_agreement_id, records.plan_id, records.period_start_date, records.line_key
                order by records.started_at, records.record_id
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as amount_before
    from {{ ref('int_records_metered') }} as records
    inner join plans
        on records.plan_id = plans.plan_id
    left join ratios
        on records.plan_id = ratios.plan_id

),

-- What was before it has used up the allowance first.
allowances_used as (

    select
        *,
        case
            when
                (free_events is null and free_amount is null)
                or record_position > coalesce(free_events, record_position)
                or free_amount <= amount_before
                then cast(0 as decimal(38, 8))
            else least(charged_amount, coalesce(free_amount - amount_before, charged_amount))
        end as free_part,
        case
            when
                (free_events is null and free_amount is null)
                or record_position > coalesce(free_events, record_position)
                or free_amount <= amount_before
                then false
            else charged_amount <= coalesce(free_amount - amount_before, charged_amount)
        end as is_free
    from records_in_order

),

costs_multiplied as (

    select
        *,
        case
            when pricing_model = 'lines' then {{ price_units('charged_amount') }} * 100000000
            when pricing_model != 'percentage' or is_free then 0
            else least(
                greatest(
                    {{ price_units('charged_amount - free_part') }} * {{ price_units('rate_ratio') }}
                    + {{ price_units('event_fee_amount') }} * 100000000,
                    coalesce({{ price_units('minimum_event_amount') }} * 100000000, 0)
                ),
                coalesce(
                    {{ price_units('maximum_event_amount') }} * 100000000,
                    greatest(
                        {{ price_units('charged_amount - free_part') }} * {{ price_units('rate_ratio') }}
                        + {{ price_units('event_fee_amount') }} * 100000000,
                        coalesce({{ price_units('minimum_event_amount') }} * 100000000, 0)
                    )
                )
            )
        end as exact_units
    from allowances_used

),

records_priced as (

    select
        record_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        line_key,
        charged_quantity,
        prorated_quantity,
        charged_amount,
        counts_toward_commitment,
        cast(running_quantity as decimal(38, 6)) as running_quantity,
        case
            when record_rounding_decimals is null then exact_units
            else cast(
                {{ price_rounded('exact_units', 1, 'record_rounding_decimals', 'record_rounding_mode') }}
                * 1000000000000 as {{ wide_integer() }}
            ) * 10000
        end as record_price_units,
        rating_group_id,
        charge_group_id,
        usage_date,
        period_start_date
    from costs_multiplied

)

select * from records_priced
