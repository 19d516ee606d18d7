-- One row per event of ours of which a carrier's call records may speak: of its carriers, services,
-- directions and the time around, as far as a clock may be wrong. Where no carrier sends any, nothing is
-- read.
with

scopes as (

    select
        carrier_id,
        service,
        direction,
        scope_number,
        min(first_at) - interval 15 hour as first_at,
        max(end_at) + interval 15 hour as end_at
    from {{ ref('int_cdr_spans_merged') }}
    group by carrier_id, service, direction, scope_number

),

ratings as (

    select
        ratings.event_id,
        ratings.carrier_id,
        ratings.service,
        ratings.direction,
        ratings.agreement_id,
        ratings.destination_id,
        ratings.destination_name,
        ratings.rating_status,
        ratings.billed_unit,
        ratings.quantity_unit,
        ratings.rated_cost_currency,
        ratings.quantity,
        ratings.billed_quantity,
        ratings.rate_amount,
        ratings.rate_per_quantity,
        ratings.rated_cost_amount,
        ratings.carrier_local_date,
        ratings.started_at,
        scopes.scope_number
    from {{ ref('int_events_rated') }} as ratings
    inner join scopes
        on
            ratings.carrier_id = scopes.carrier_id
            and ratings.service = scopes.service
            and ratings.direction = scopes.direction
            and ratings.started_at >= scopes.first_at
            and ratings.started_at < scopes.end_at

),

events_covered as (

    select
        ratings.*,
        {{ number_of_values(['ratings.event_id']) }} as event_number,
        {{ number_shown('events.origin') }} as calling_number,
        events.destination as called_number,
        coalesce(events.call_id, substring(events.event_id, length(events.feed) + 2)) as call_id
    from ratings
    inner join {{ ref('int_events_deduplicated') }} as events
        on ratings.event_id = events.event_id

)

select * from events_covered
