-- One row per day (UTC) whose usage groups must be made again, because an event of it was rated again, came or went;
-- a single row in place of all days where the terms of charging changed or all events were rated anew.
-- depends_on: {{ ref('int_events_rated') }}
with

affected as (

    select event_id from {{ ref('int_events_affected') }}

),

charging_terms as (

    select * from {{ ref('int_charging_terms_resolved') }}

),

{% if rates_anew() %}
    days_affected as (

        select
            cast(null as date) as usage_date,
            true as is_every_day

    )
{% else %}
    terms_changed as (

        (select * from charging_terms except select * from {{ last_run('int_charging_terms_applied') }})
        union all
        (select * from {{ last_run('int_charging_terms_applied') }} except select * from charging_terms)

    ),

    events_counted as (

        select
            cast(started_at as date) as usage_date,
            count(*) as event_count
        from {{ ref('int_events_rated') }}
        group by cast(started_at as date)

    ),

    groups_counted as (

        select
            usage_date,
            sum(event_count) as event_count
        from {{ last_run('int_usage_aggregated') }}
        group by usage_date

    ),

    days_affected as (

        select distinct
            cast(null as date) as usage_date,
            true as is_every_day
        from terms_changed
        union all
        select distinct
            cast(null as date) as usage_date,
            true as is_every_day
        from affected
        where event_id = '{{ every_event() }}'
        union all
        (
            select
                cast(events.started_at as date) as usage_date,
                false as is_every_day
            from {{ ref('int_events_rated') }} as events
            inner join affected
                on events.event_id = affected.event_id
            union
            -- A day that an event left.
            select
                coalesce(events_counted.usage_date, groups_counted.usage_date) as usage_date,
                false as is_every_day
            from events_counted
            full outer join groups_counted
                on events_counted.usage_date = groups_counted.usage_date
            where events_counted.event_count is distinct from groups_counted.event_count
        )

    )
{% endif %}

select * from days_affected
