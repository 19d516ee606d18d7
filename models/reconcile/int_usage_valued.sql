-- One row per usage group that is rated or charged, with what it earns, costs and gives away: its part of
-- the revenue and of the shares of its plan's day, by charged quantity, and of the corrected cost and of
-- the open disputes of its rating group's day, by rated cost. Parts are rounded down to a millionth;
-- what they leave over of a day, less than a millionth for each, goes to the largest of them, so that
-- they add up to the day exactly. A group has one more row, without events and revenue, for each further
-- way in which the cost of its day is known.
with

parts as (

    select
        groups_summed.rating_group_id,
        groups_summed.charge_group_id,
        groups_summed.usage_date,
        groups_summed.carrier_local_date,
        groups_summed.partner_local_date,
        coalesce(costs_of_days.part_number, 1) as part_number,
        {{ number_of_values([
            'groups_summed.rating_group_id', 'groups_summed.charge_group_id', 'groups_summed.usage_date',
            'groups_summed.carrier_local_date', 'groups_summed.partner_local_date'
        ]) }} as group_number,
        case when coalesce(costs_of_days.part_number, 1) = 1 then groups_summed.event_count else 0 end
            as event_count,
        groups_summed.charged_quantity,
        groups_summed.rated_cost_amount,
        revenue_of_days.revenue_currency,
        costs_of_days.corrected_cost_currency,
        coalesce(costs_of_days.is_covered or costs_of_days.is_divided, false) as is_allocated,
        {{ part_rounded_down(
            'revenue_of_days.revenue_amount', 'groups_summed.charged_quantity', 'revenue_of_days.charged_quantity', 6
        ) }} as revenue_units,
        {{ part_rounded_down(
            'shares_of_days.share_amount', 'groups_summed.charged_quantity', 'revenue_of_days.charged_quantity', 6
        ) }} as share_units,
        {{ part_rounded_down(
            'costs_of_days.corrected_cost_amount', 'groups_summed.rated_cost_amount', 'costs_of_days.rated_cost_amount', 12
        ) }} as cost_units,
        {{ part_rounded_down(
            'costs_of_days.open_dispute_amount', 'groups_summed.rated_cost_amount', 'costs_of_days.rated_cost_amount', 12
        ) }} as dispute_units
    from {{ ref('int_usage_summed') }} as groups_summed
    left join {{ ref('int_costs_corrected') }} as costs_of_days
        on
            groups_summed.rating_group_id = costs_of_days.rating_group_id
            and groups_summed.carrier_local_date = costs_of_days.carrier_local_date
    left join {{ ref('int_revenue_allocated') }} as revenue_of_days
        on
            groups_summed.charge_group_id = revenue_of_days.charge_group_id
            and groups_summed.partner_local_date = revenue_of_days.partner_local_date
            and coalesce(costs_of_days.part_number, 1) = 1
    left join {{ ref('int_share_costs_allocated') }} as shares_of_days
        on
            groups_summed.charge_group_id = shares_of_days.charge_group_id
            and groups_summed.partner_local_date = shares_of_days.partner_local_date
            and coalesce(costs_of_days.part_number, 1) = 1
    where revenue_of_days.charge_group_id is not null or costs_of_days.rating_group_id is not null

),

charges_left as (

    select
        parts_summed.charge_group_id,
        parts_summed.partner_local_date,
        parts_summed.largest_group_number,
        cast(revenue_of_days.revenue_amount * 1000000 as {{ wide_integer() }}) - parts_summed.revenue_units
            as revenue_units,
        cast(shares_of_days.share_amount * 1000000 as {{ wide_integer() }}) - parts_summed.share_units
            as share_units
    from (
        select
            charge_group_id,
            partner_local_date,
            max_by(group_number, {{ in_turn('charged_quantity', 'group_number') }}) as largest_group_number,
            sum(revenue_units) as revenue_units,
            sum(share_units) as share_units
        from parts
        where revenue_units is not null
        group by charge_group_id, partner_local_date
    ) as parts_summed
    inner join {{ ref('int_revenue_allocated') }} as revenue_of_days
        on
            parts_summed.charge_group_id = revenue_of_days.charge_group_id
            and parts_summed.partner_local_date = revenue_of_days.partner_local_date
    left join {{ ref('int_share_costs_allocated') }} as shares_of_days
        on
            parts_summed.charge_group_id = shares_of_days.charge_group_id
            and parts_summed.partner_local_date = shares_of_days.partner_local_date

),

costs_left as (

    select
        parts_summed.rating_group_id,
        parts_summed.carrier_local_date,
        parts_summed.part_number,
        parts_summed.largest_group_number,
        costs_of_days.corrected_cost_amount - {{ from_units('parts_summed.cost_units * 1000000') }}
            as cost_amount,
        costs_of_days.open_dispute_amount - {{ from_units('parts_summed.dispute_units * 1000000') }}
            as dispute_amount
    from (
        select
            rating_group_id,
            carrier_local_date,
            part_number,
            max_by(group_number, {{ in_turn('rated_cost_amount', 'group_number') }}) as largest_group_number,
            sum(cost_units) as cost_units,
            sum(dispute_units) as dispute_units
        from parts
        where is_allocated and cost_units is not null
        group by rating_group_id, carrier_local_date, part_number
    ) as parts_summed
    inner join {{ ref('int_costs_corrected') }} as costs_of_days
        on
            parts_summed.rating_group_id = costs_of_days.rating_group_id
            and parts_summed.carrier_local_date = costs_of_days.carrier_local_date
            and parts_summed.part_number = costs_of_days.part_number

),

usage_valued as (

    select
        parts.rating_group_id,
        parts.charge_group_id,
        parts.part_number,
        parts.event_count,
        parts.revenue_currency,
        {{ from_millionths('(parts.revenue_units + coalesce(charges_left.revenue_units, 0))') }}
            as revenue_amount,
        {{ from_millionths('(parts.share_units + coalesce(charges_left.share_units, 0))') }}
            as share_amount,
        parts.corrected_cost_currency,
        case
            when parts.is_allocated
                then
                    coalesce(costs_left.cost_amount, 0)
                    + {{ from_units('coalesce(parts.cost_units, 0) * 1000000') }}
            when parts.corrected_cost_currency is not null then parts.rated_cost_amount
        end as corrected_cost_amount,
        case
            when parts.dispute_units is not null
                then
                    coalesce(costs_left.dispute_amount, 0)
                    + {{ from_units('parts.dispute_units * 1000000') }}
        end as open_dispute_amount,
        parts.usage_date,
        parts.carrier_local_date,
        parts.partner_local_date
    from parts
    left join charges_left
        on
            parts.group_number = charges_left.largest_group_number
            and parts.part_number = 1
            and parts.charge_group_id = charges_left.charge_group_id
            and parts.partner_local_date = charges_left.partner_local_date
    left join costs_left
        on
            parts.group_number = costs_left.largest_group_number
            and parts.part_number = costs_left.part_number
            and parts.rating_group_id = costs_left.rating_group_id
            and parts.carrier_local_date = costs_left.carrier_local_date

)

select * from usage_valued
