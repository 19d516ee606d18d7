-- One row per usage group to which this run adds events, with the sums of these.
with

days as (

    select * from {{ ref('int_days_affected') }}
    where is_added_to

),

events as (

    select attributed.*
    from {{ ref('int_events_attributed') }} as attributed
    inner join days
        on cast(attributed.started_at as date) = days.usage_date
    where attributed.is_affected

),

usage_added as (

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

select * from usage_added
