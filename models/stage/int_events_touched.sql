-- One row per event of which a record landed, or was read again, since the events were last rated; a single
-- row in place of all events where they are rated anew. Refused records count: read again, a record may be
-- refused that was none before, and what it cost must go.
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
                event_id is not null
                and file_id in ({{ files_with_news(feed, records, loads_applied) }})
            {{ 'union' if not loop.last }}
        {% endfor %}
    {% endif %}

)

select * from events_touched
