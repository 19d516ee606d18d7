-- Fails if the readable usage records are more or fewer than the events with their counted copies:
-- deduplication would lose an event, or bill one twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_events_deduplicated', 'package': 'tollgate'}}}) }}
with

records_counted as (

    select
        feed,
        count(*) as readable_count
    from {{ ref('int_events_collected') }}
    where refusal_reason is null
    group by feed

),

events_counted as (

    select
        feed,
        sum(record_count) as accounted_count
    from {{ ref('int_events_deduplicated') }}
    group by feed

)

select
    coalesce(records_counted.feed, events_counted.feed) as feed,
    records_counted.readable_count,
    events_counted.accounted_count
from records_counted
full outer join events_counted
    on records_counted.feed = events_counted.feed
where coalesce(records_counted.readable_count, 0) != coalesce(events_counted.accounted_count, 0)
