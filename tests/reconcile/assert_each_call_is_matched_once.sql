-- Fails if a call record of a carrier has no class or two, or if an event that a carrier should have listed
-- has: a call would be disputed twice, or never looked at.
{{ config(meta={'dagster': {'ref': {'name': 'int_calls_matched', 'package': 'tollgate'}}}) }}
with

matches as (

    select * from {{ ref('int_calls_matched') }}

),

records_counted as (

    select
        records.cdr_id as call_id,
        count(matches.call_match_id) as match_count
    from {{ ref('int_cdrs_deduplicated') }} as records
    left join matches
        on records.cdr_id = matches.cdr_id
    group by records.cdr_id

),

-- On the hours that the records of its carrier surely are about, whatever their clock.
spans as (

    select
        carrier_id,
        service,
        direction,
        first_at + interval 15 hour as first_at,
        end_at - interval 15 hour as end_at
    from {{ ref('int_cdr_spans_merged') }}

),

events_counted as (

    select
        events.event_id as call_id,
        count(matches.call_match_id) as match_count
    from {{ ref('int_events_rated') }} as events
    inner join spans
        on
            events.carrier_id = spans.carrier_id
            and events.service = spans.service
            and events.direction = spans.direction
            and events.started_at >= spans.first_at
            and events.started_at < spans.end_at
    left join matches
        on events.event_id = matches.event_id
    where events.rating_status != 'not_charged' or matches.event_id is not null
    group by events.event_id

),

counted as (

    select * from records_counted
    union all
    select * from events_counted
    union all
    select
        event_id as call_id,
        count(*) as match_count
    from matches
    where event_id is not null
    group by event_id

)

select * from counted
where match_count != 1
