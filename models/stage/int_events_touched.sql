-- One row per event of which a record landed, or was read again, since the events were last rated; a single
-- row in place of all events where they are rated anew.
{% set loads_applied = last_run('int_loads_applied') %}

with

records as (

    select
        event_id,
        feed,
        file_id,
        loaded_at
    from {{ ref('int_events_collected') }}
    where refusal_reason is null

),

events_touched as (

    {% if rates_anew() %}
        select
            '{{ every_event() }}' as event_id,
            cast(null as string) as feed
    {% else %}
        {% for feed in var('feeds')['usage'] %}
            select
                event_id,
                feed
            from records
            where file_id in ({{ files_with_news(feed, ref('int_events_collected'), loads_applied) }})
            {{ 'union' if not loop.last }}
        {% endfor %}
    {% endif %}

)

select * from events_touched
