-- One row per day (UTC) whose usage groups must be made again, because an event of it was rated again, came
-- or went; one row in place of all days where the terms of charging changed or all events were rated anew.
{% set affected = ref('int_events_affected') %} {# here, since the graph is read from a run that rates anew #}
{% set charging_terms = ref('int_charging_terms_resolved') %}
{% set ratings = ref('int_events_rated') %}

with

{% if rates_anew() %}
    days_affected as (

        select
            {{ no_day() }} as usage_date,
            true as is_every_day

    )
{% else %}
    terms_changed as (

        select coalesce(charging_terms.term_model, terms_before.term_model) as term_model
        from {{ charging_terms }} as charging_terms
        full outer join {{ last_run('int_charging_terms_applied') }} as terms_before
            on
                charging_terms.term_model = terms_before.term_model
                and charging_terms.term_text = terms_before.term_text
        where charging_terms.term_model is null or terms_before.term_model is null

    ),

    events_counted as (

        select
            cast(started_at as date) as usage_date,
            count(*) as event_count
        from {{ ratings }}
        group by cast(started_at as date)

    ),

    groups_counted as (

        select
            usage_date,
            sum(event_count) as event_count
        from {{ last_run('int_usage_summed') }}
        group by usage_date

    ),

    days_affected as (

        select
            {{ no_day() }} as usage_date,
            true as is_every_day
        from terms_changed
        union
        select
            {{ no_day() }} as usage_date,
            true as is_every_day
        from {{ affected }}
        where {{ is_every_event() }}
        union
        select
            cast(events.started_at as date) as usage_date,
            false as is_every_day
        from {{ ratings }} as events
        inner join {{ affected }} as affected
            on events.event_id = affected.event_id
        union
        -- A day that an event left.
        select
            coalesce(events_counted.usage_date, groups_counted.usage_date) as usage_date,
            false as is_every_day
        from events_counted
        full outer join groups_counted
            on events_counted.usage_date = groups_counted.usage_date
        where {{ differs('events_counted.event_count', 'groups_counted.event_count') }}

    )
{% endif %}

select * from days_affected
