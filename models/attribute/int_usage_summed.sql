-- depends_on: {{ ref("int_days_affected") }}
-- One row per usage group, the events of one day, rating group and charge group, with their sums; no amount
-- is rounded here. The texts of a group stand in int_ratings_grouped and int_charges_grouped: millions of
-- groups share some thousands of them. A run makes the groups of the days of int_days_affected again and
-- keeps the others.
with

events as (

    select * from {{ ref('int_events_attributed') }}
    {% if is_incremental() %} where {{ started_on_days_of(ref('int_days_affected')) }} {% endif %}

),

usage_summed as (

    select
        rating_group_id,
        charge_group_id,
        cast(started_at as date) as usage_date,
        carrier_local_date,
        partner_local_date,
        count(*) as event_count,
        cast(sum(quantity) as decimal(38, 6)) as quantity,
        cast(coalesce(sum(billed_quantity), 0) as decimal(18, 3)) as billed_quantity,
        cast(sum(charged_quantity) as decimal(38, 6)) as charged_quantity,
        cast(coalesce(sum(undivided_cost_amount), 0) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(coalesce(sum(rated_cost_amount), 0) as {{ exact_amount() }}) as rated_cost_amount
    from events
    group by
        rating_group_id, charge_group_id, cast(started_at as date), carrier_local_date, partner_local_date

)

select * from usage_summed
