-- One row per reading of a line and tier that its usage has entered (or its first one): the quantity in the
-- tier and what it costs, exact and not yet divided. A model without tiers has one row. Whole 10^-16 (macro
-- price_units), to be divided by price_per.
with

plans as (

    select
        *,
        case conversion_operation
            when 'multiply' then {{ fraction_of('conversion_factor')[0] }}
            when 'divide' then {{ fraction_of('conversion_factor')[1] }}
            else 1
        end as conversion_numerator,
        case conversion_operation
            when 'multiply' then {{ fraction_of('conversion_factor')[1] }}
            when 'divide' then {{ fraction_of('conversion_factor')[0] }}
            else 1
        end
        -- From the unit in which usage is counted to that of the plan.
        * counted_per_unit as conversion_denominator
    from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

plan_tiers as (

    select * from {{ ref('stg_terms__plan_tiers') }}
    where refusal_reason is null

),

quantities_converted as (

    select
        readings.*,
        plans.pricing_model,
        plans.prorates_quantity,
        plans.prorates_flat,
        plans.charges_flat_at_zero,
        plans.package_rounding,
        -- Percentages and lump sums are of no quantity.
        case
            when plans.pricing_model in ('per_unit', 'graduated', 'volume') then plans.priced_per_quantity
            else 1
        end as priced_per_quantity,
        plans.free_quantity,
        plans.quantity_rounding_mode,
        plans.quantity_rounding_decimals,
        {{ price_units('readings.priced_quantity') }} * plans.conversion_numerator as converted_units,
        plans.conversion_denominator
    from {{ ref('int_usage_accumulated') }} as readings
    inner join plans
        on readings.plan_id = plans.plan_id

),

quantities_rounded as (

    select
        *,
        case
            when quantity_rounding_decimals is null then converted_units
            else {{ price_units(round_units(
                '(abs(converted_units) * 10000)', 'conversion_denominator',
                'quantity_rounding_decimals', 'quantity_rounding_mode', 'converted_units'
            )) }}
        end as rounded_units,
        case when quantity_rounding_decimals is null then conversion_denominator else 1 end
            as quantity_per
    from quantities_converted

),

-- What walks through the tiers, in 10^-8, to be divided by quantity_per.
quantities_measured as (

    select
        *,
        case
            when pricing_model = 'capacity' then {{ price_units('highest_quantity') }}
            when pricing_model = 'graduated_percentage'
                then {{ price_units('charged_amount') }} * quantity_per
            when pricing_model in ('percentage', 'lines', 'flat') then 0
            when prorates_quantity and pricing_model = 'graduated'
                then {{ price_units('highest_quantity') }}
            when coalesce(free_quantity, 0) = 0 then rounded_units
            else greatest(rounded_units - {{ price_units('free_quantity') }} * quantity_per, 0)
        end as measured_units
    from quantities_rounded

),

tiers_entered as (

    select
        readings.*,
        coalesce(plan_tiers.tier_number, 1) as tier_number,
        plan_tiers.unit_amount,
        plan_tiers.flat_amount,
        plan_tiers.block_quantity,
        plan_tiers.rate_ratio,
        {{ price_units('plan_tiers.above_quantity') }} * readings.quantity_per as above_units,
        {{ price_units('plan_tiers.up_to_quantity') }} * readings.quantity_per as up_to_units,
        {{ price_units('plan_tiers.block_quantity') }} * readings.quantity_per as block_units,
        plan_tiers.above_quantity,
        plan_tiers.up_to_quantity
    from quantities_measured as readings
    left join plan_tiers
        on readings.plan_id = plan_tiers.plan_id

),

-- Of the tiers above the first only those that the usage has reached; one alone where the whole is priced by
-- the tier that it reaches.
tiers_reached as (

    select
        *,
        measured_units > above_units
        or (tier_number = 1 and coalesce(charges_flat_at_zero, false))
        or (tier_number = 1 and pricing_model in ('per_unit', 'package') and measured_units != 0)
            as is_flat_due,
        case
            when
                pricing_model in ('graduated', 'graduated_percentage')
                and not coalesce(prorates_quantity, false)
                then least(measured_units, coalesce(up_to_units, measured_units)) - coalesce(above_units, 0)
            when prorates_quantity and pricing_model = 'volume' then {{ price_units('prorated_quantity') }}
            else measured_units
        end as part_units
    from tiers_entered
    where
        (tier_number = 1 or measured_units > above_units)
        and (
            pricing_model in ('graduated', 'graduated_percentage')
            or up_to_units is null
            or measured_units <= up_to_units
        )

),

-- What is added or taken away is spread over the tiers that the running total passes through with it. The
-- quotients have no end, so each is taken to 10^-24 and their sum to 10^-16: what ends earlier comes out
-- exact.
moves as (

    select
        *,
        running_quantity - charged_quantity as from_quantity
    from {{ ref('int_records_priced') }}
    where charged_quantity != 0

),

moves_spread as (

    select
        moves.partner_agreement_id,
        moves.plan_id,
        moves.period_start_date,
        moves.line_key,
        plan_tiers.tier_number,
        {{ price_units('plan_tiers.unit_amount') }} as unit_units,
        {{ price_units('moves.prorated_quantity') }} as prorated_units,
        abs({{ price_units('moves.charged_quantity') }}) as moved_units,
        -- Below zero there is no tier but the first.
        greatest(
            0,
            {{ price_units('least(greatest(moves.from_quantity, moves.running_quantity), '
               ~ 'coalesce(plan_tiers.up_to_quantity, greatest(moves.from_quantity, moves.running_quantity)))') }}
            - {{ price_units('greatest(least(moves.from_quantity, moves.running_quantity), '
               ~ 'case when plan_tiers.tier_number = 1 then least(moves.from_quantity, moves.running_quantity) '
               ~ 'else plan_tiers.above_quantity end)') }}
        ) as passed_units
    from moves
    inner join plans
        on moves.plan_id = plans.plan_id and plans.prorates_quantity and plans.pricing_model = 'graduated'
    inner join plan_tiers
        on moves.plan_id = plan_tiers.plan_id

),

moves_priced as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date,
        line_key,
        tier_number,
        sum(
            case when prorated_units < 0 then -1 else 1 end
            * (
                {{ integer_divide('(abs(prorated_units) * passed_units)', 'moved_units') }}
                * unit_units * 100000000
                + {{ integer_divide(
                    '(((abs(prorated_units) * passed_units) % moved_units) * unit_units * 100000000 '
                    ~ '+ ' ~ integer_divide('moved_units', 2) ~ ')', 'moved_units'
                ) }}
            )
        ) as price_units_to_24
    from moves_spread
    where passed_units > 0
    group by partner_agreement_id, plan_id, period_start_date, line_key, tier_number

),

tiers_priced as (

    select
        tiers.charge_line_id,
        tiers.partner_agreement_id,
        tiers.reading_date,
        tiers.is_last_reading,
        tiers.plan_id,
        tiers.tier_number,
        tiers.unit_amount,
        tiers.flat_amount,
        tiers.block_quantity,
        tiers.rate_ratio,
        tiers.priced_per_quantity,
        tiers.part_units,
        tiers.quantity_per,
        tiers.rounded_units as converted_units,
        case
            when tiers.pricing_model in ('per_unit', 'package', 'graduated', 'volume')
                then tiers.measured_units
        end as billable_units,
        cast(
            case
                when tiers.pricing_model in ('percentage', 'lines') then tiers.record_price_units
                when tiers.prorates_flat
                    then {{ price_units('tiers.flat_amount') }} * 100000000 * tiers.active_days
                else
                    case
                        when tiers.pricing_model = 'flat' or tiers.is_flat_due
                            then
                                {{ price_units('tiers.flat_amount') }}
                                * 100000000 * tiers.quantity_per * tiers.priced_per_quantity
                        else 0
                    end
                    + case
                        when tiers.pricing_model in ('flat', 'capacity') then 0
                        when tiers.pricing_model = 'graduated_percentage'
                            then tiers.part_units * {{ price_units('tiers.rate_ratio') }}
                        when tiers.prorates_quantity and tiers.pricing_model = 'graduated'
                            then
                                case when coalesce(moves_priced.price_units_to_24, 0) < 0 then -1 else 1 end
                                * {{ integer_divide(
                                    '(abs(coalesce(moves_priced.price_units_to_24, 0)) + 50000000)', 100000000
                                ) }}
                                * tiers.priced_per_quantity
                        when tiers.block_quantity is null
                            then tiers.part_units * {{ price_units('tiers.unit_amount') }}
                        else
                            case when tiers.part_units < 0 then -1 else 1 end
                            * case
                                when tiers.package_rounding = 'down'
                                    then {{ integer_divide('abs(tiers.part_units)', 'tiers.block_units') }}
                                else {{ count_of('tiers.block_units', 'abs(tiers.part_units)') }}
                            end
                            * {{ price_units('tiers.unit_amount') }} * 100000000 * tiers.quantity_per
                    end
            end as {{ wide_integer() }}
        ) as price_units,
        cast(
            case
                when tiers.prorates_flat then tiers.period_days
                when tiers.pricing_model in ('percentage', 'lines') then 1
                else tiers.quantity_per * tiers.priced_per_quantity
            end as {{ wide_integer() }}
        ) as price_per
    from tiers_reached as tiers
    left join moves_priced
        on
            tiers.partner_agreement_id = moves_priced.partner_agreement_id
            and tiers.plan_id = moves_priced.plan_id
            and tiers.period_start_date = moves_priced.period_start_date
            and tiers.line_key = moves_priced.line_key
            and tiers.tier_number = moves_priced.tier_number

)

select * from tiers_priced
