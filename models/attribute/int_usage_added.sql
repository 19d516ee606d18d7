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

    {{ sum_of_groups('events') }}

)

select * from usage_added
