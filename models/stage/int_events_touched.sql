-- One row per event of which a record landed, or was read again, since the events were last rated; a single
-- row in place of all events where they are rated anew.
{% set records = ref('int_events_collected') %} {# here, since the graph is read from a run that rates anew #}
{% set loads_applied = last_run('int_loads_applied') %}

with

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
            from {{ records }}
            where
                refusal_reason is null
                and file_id in ({{ files_with_news(feed, records, loads_applied) }})
            {{ 'union' if not loop.last }}
        {% endfor %}
    {% endif %}

)

select * from events_touched
