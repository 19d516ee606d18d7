-- One row per line of a partner's statement: of each line of a plan and month what its tiers cost, and what
-- discount, commitment and maximum add or take away, so that they sum to the line to the last decimal; and
-- where the lines are finer than the statement, the rounding of their sum.
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

charge_lines as (

    select * from {{ ref('int_charge_lines_priced') }}
    where is_last_reading

),

tiers_rounded as (

    select
        charge_lines.charge_line_id,
        cast(tiers.tier_number as string) as row_name,
        'usage' as charge_type,
        tiers.tier_number,
        -- The events of a line pass through its tiers together, so they are counted once, on its first row.
        case
            when
                row_number() over (partition by charge_lines.charge_line_id order by tiers.tier_number) = 1
                then charge_lines.event_count
            else 0
        end as event_count,
        {{ round_units(
            'abs(tiers.part_units) * 10000', 'tiers.quantity_per', 6, "'half_up'", 'tiers.part_units'
        ) }} as charged_quantity,
        tiers.priced_per_quantity,
        tiers.unit_amount,
        tiers.flat_amount,
        {{ price_rounded(
            'tiers.price_units', 'tiers.price_per',
            'charge_lines.plan_rounding_decimals', 'charge_lines.plan_rounding_mode'
        ) }} as charge_amount
    from charge_lines
    inner join {{ ref('int_tiers_priced') }} as tiers
        on
            charge_lines.charge_line_id = tiers.charge_line_id
            and charge_lines.reading_date = tiers.reading_date

),

tiers_summed as (

    select
        charge_line_id,
        sum(charge_amount) as charge_amount
    from tiers_rounded
    group by charge_line_id

),

adjustments as (

    -- Tiers rounded one by one may differ from the rounded line.
    select
        charge_lines.charge_line_id,
        'rounding' as charge_type,
        charge_lines.price_amount - tiers_summed.charge_amount as charge_amount
    from charge_lines
    inner join tiers_summed
        on charge_lines.charge_line_id = tiers_summed.charge_line_id
    {% for step in ['discount', 'overage', 'true_up', 'cut', 'earlier_runs'] %}
        union all
        select
            charge_line_id,
            '{{ {'cut': 'maximum'}.get(step, step) }}' as charge_type,
            {{ step }}_amount as charge_amount
        from charge_lines
    {% endfor %}

),

rows_of_lines as (

    select * from tiers_rounded
    where event_count > 0 or charged_quantity != 0 or charge_amount != 0
    union all
    select
        charge_line_id,
        charge_type as row_name,
        charge_type,
        cast(null as integer) as tier_number,
        0 as event_count,
        cast(null as {{ exact_amount() }}) as charged_quantity,
        cast(null as integer) as priced_per_quantity,
        cast(null as decimal(18, 8)) as unit_amount,
        cast(null as decimal(18, 8)) as flat_amount,
        charge_amount
    from adjustments
    where charge_amount != 0

),

-- Whether charged usage stands behind a plan and month at all; what has none can be laid on no usage, and is
-- not shared.
usage_behind as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date
    from charge_lines
    group by partner_agreement_id, plan_id, period_start_date
    having sum(charged_quantity) > 0

),

rows_with_plans as (

    select
        rows_of_lines.charge_line_id || ':' || rows_of_lines.row_name as statement_line_id,
        rows_of_lines.charge_line_id,
        charge_lines.partner_id,
        charge_lines.partner_agreement_id,
        charge_lines.plan_id,
        nullif(charge_lines.line_key, '') as line_key,
        plans.service,
        plans.direction,
        plans.country_code,
        plans.pricing_model,
        rows_of_lines.charge_type,
        plans.quantity_unit,
        charge_lines.charge_currency,
        charge_lines.rounding_mode,
        charge_lines.line_rounding_decimals,
        rows_of_lines.tier_number,
        rows_of_lines.event_count,
        rows_of_lines.charged_quantity,
        rows_of_lines.priced_per_quantity,
        rows_of_lines.unit_amount,
        rows_of_lines.flat_amount,
        rows_of_lines.charge_amount,
        usage_behind.plan_id is null as is_without_usage,
        charge_lines.period_start_date
    from rows_of_lines
    inner join charge_lines
        on rows_of_lines.charge_line_id = charge_lines.charge_line_id
    inner join plans
        on charge_lines.plan_id = plans.plan_id
    left join usage_behind
        on
            charge_lines.partner_agreement_id = usage_behind.partner_agreement_id
            and charge_lines.plan_id = usage_behind.plan_id
            and charge_lines.period_start_date = usage_behind.period_start_date

),

sums_of_statements as (

    select
        partner_id,
        partner_agreement_id,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        period_start_date,
        cast(sum(charge_amount) as {{ exact_amount() }}) as charge_amount
    from rows_with_plans
    group by
        partner_id, partner_agreement_id, charge_currency, rounding_mode, line_rounding_decimals,
        period_start_date

),

sums_rounded as (

    select
        *,
        {{ round_money('charge_amount', 'line_rounding_decimals', 'rounding_mode') }} as rounded_amount
    from sums_of_statements

),

charges_priced as (

    select
        *,
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }} as billing_period_id
    from rows_with_plans
    union all
    select
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }} || ':'
        || charge_currency || ':statement_rounding' as statement_line_id,
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }} || ':statement_rounding'
            as charge_line_id,
        partner_id,
        partner_agreement_id,
        null as plan_id,
        null as line_key,
        null as service,
        null as direction,
        null as country_code,
        null as pricing_model,
        'statement_rounding' as charge_type,
        null as quantity_unit,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        null as tier_number,
        0 as event_count,
        null as charged_quantity,
        null as priced_per_quantity,
        null as unit_amount,
        null as flat_amount,
        rounded_amount - charge_amount as charge_amount,
        true as is_without_usage,
        period_start_date,
        partner_agreement_id || ':' || {{ month_name_of('period_start_date') }} as billing_period_id
    from sums_rounded
    where rounded_amount != charge_amount

)

select * from charges_priced
