-- One row per day (UTC) whose usage groups change, because an event of it was rated again, came or went, or
-- others share in it; one row in place of all days where the terms of charging changed or all events were
-- rated anew. A day to which events only came is added to; the groups of the others are made again.
{% set affected = ref('int_events_affected') %} {# here, since the graph is read from a run that rates anew #}
{% set charging_terms = ref('int_charging_terms_resolved') %}
{% set ratings = ref('int_events_rated') %}
{% set marks = ref('int_transactions_marked') %}

with

{% if rates_anew() %}
    days_affected as (

        select
            {{ no_day() }} as usage_date,
            true as is_every_day,
            false as is_added_to,
            cast(null as {{ wide_integer() }}) as fingerprint_before

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

    affected_counted as (

        select
            cast(events.started_at as date) as usage_date,
            count(*) as event_count
        from {{ ratings }} as events
        inner join {{ affected }} as affected
            on events.event_id = affected.event_id
        group by cast(events.started_at as date)

    ),

    marks_changed as (

        select coalesce(marks_now.event_id, marks_before.event_id) as event_id
        from (
            select
                event_id,
                {{ transaction_mark() }} as mark
            from {{ marks }}
        ) as marks_now
        full outer join {{ last_run('int_transactions_applied') }} as marks_before
            on marks_now.event_id = marks_before.event_id
        where {{ differs('marks_now.mark', 'marks_before.mark') }}

    ),

    -- Events that are rated again are counted above.
    marked_counted as (

        select
            cast(events.started_at as date) as usage_date,
            count(*) as event_count
        from {{ ratings }} as events
        inner join marks_changed
            on events.event_id = marks_changed.event_id
        where events.event_id not in (select affected.event_id from {{ affected }} as affected)
        group by cast(events.started_at as date)

    ),

    groups_counted as (

        select
            usage_date,
            sum(event_count) as event_count,
            sum({{ usage_group_fingerprint() }}) as fingerprint
        from {{ last_run('int_usage_summed') }}
        group by usage_date

    ),

    days_counted as (

        select
            coalesce(events_counted.usage_date, groups_counted.usage_date) as usage_date,
            coalesce(events_counted.event_count, 0) as event_count,
            coalesce(affected_counted.event_count, 0) as affected_count,
            coalesce(groups_counted.event_count, 0) as grouped_count,
            coalesce(marked_counted.event_count, 0) as marked_count,
            groups_counted.fingerprint as fingerprint_before
        from events_counted
        full outer join groups_counted
            on events_counted.usage_date = groups_counted.usage_date
        left join affected_counted
            on events_counted.usage_date = affected_counted.usage_date
        left join marked_counted
            on events_counted.usage_date = marked_counted.usage_date

    ),

    every_day as (

        select {{ no_day() }} as usage_date
        from terms_changed
        union
        select {{ no_day() }} as usage_date
        from {{ affected }}
        where {{ is_every_event() }}

    ),

    days_affected as (

        select
            usage_date,
            true as is_every_day,
            false as is_added_to,
            null as fingerprint_before
        from every_day
        union all
        select
            usage_date,
            false as is_every_day,
            -- The groups hold what was there before; where that and the affected events are all there is now,
            -- none of these was there, and none left.
            grouped_count + affected_count = event_count
            and marked_count = 0
            and not exists (select 1 from every_day) as is_added_to,
            fingerprint_before
        from days_counted
        where affected_count > 0 or marked_count > 0 or event_count != grouped_count

    )
{% endif %}

select * from days_affected
