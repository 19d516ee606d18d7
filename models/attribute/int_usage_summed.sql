-- depends_on: {{ ref("int_days_affected") }}
-- depends_on: {{ ref("int_usage_added") }}
-- One row per usage group, the events of one day, rating group and charge group, with their sums; no amount
-- is rounded here. The texts of a group stand in int_ratings_grouped and int_charges_grouped: millions of
-- groups share some thousands of them. A run makes the groups of the days of int_days_affected again, adds
-- int_usage_added to those of the other days, and keeps the rest.
with

events as (

    select * from {{ ref('int_events_attributed') }}
    {% if is_incremental() %} where {{ started_on_days_of(ref('int_days_affected')) }} {% endif %}

),

groups_made as (

    {{ sum_of_groups('events') }}

),

usage_summed as (

    select * from groups_made
    {% if is_incremental() %}
        union all
        select
            added.rating_group_id,
            added.charge_group_id,
            added.usage_date,
            added.carrier_local_date,
            added.partner_local_date,
            cast(added.event_count + coalesce(known.event_count, 0) as bigint) as event_count,
            cast(added.quantity + coalesce(known.quantity, 0) as decimal(38, 6)) as quantity,
            cast(added.billed_quantity + coalesce(known.billed_quantity, 0) as decimal(18, 3))
                as billed_quantity,
            cast(added.charged_quantity + coalesce(known.charged_quantity, 0) as decimal(38, 6))
                as charged_quantity,
            cast(
                added.undivided_cost_amount + coalesce(known.undivided_cost_amount, 0) as {{ exact_amount() }}
            ) as undivided_cost_amount,
            cast(added.rated_cost_amount + coalesce(known.rated_cost_amount, 0) as {{ exact_amount() }})
                as rated_cost_amount
        from {{ ref('int_usage_added') }} as added
        left join {{ this }} as known
            on
                added.rating_group_id = known.rating_group_id
                and added.charge_group_id = known.charge_group_id
                and added.usage_date = known.usage_date
                and added.carrier_local_date = known.carrier_local_date
                and added.partner_local_date = known.partner_local_date
    {% endif %}

)

select * from usage_summed
