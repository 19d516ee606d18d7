-- One row per event that an allowance covers in part or whole: how much of it is free. An allowance is used
-- up in the order in which the events began, whatever the order in which they came.
with

rating_terms as (

    select distinct
        carrier_id,
        service,
        direction
    from {{ ref('int_rating_terms_resolved') }}
    where free_quantity > 0

),

stretches as (

    select
        event_id,
        cast(sum(billed_quantity) as decimal(18, 3)) as billed_quantity,
        bool_or(is_covered) as is_covered
    from {{ ref('int_events_stepped') }}
    group by event_id

),

-- Where no agreement has an allowance, no event is looked at.
events as (

    select
        events_matched.event_id,
        events_matched.agreement_id,
        events_matched.service,
        events_matched.direction,
        events_matched.free_quantity,
        events_matched.carrier_local_date,
        events_matched.started_at,
        coalesce(events_matched.billed_quantity, stretches.billed_quantity) as billed_quantity
    from {{ ref('int_events_matched') }} as events_matched
    inner join rating_terms
        on
            events_matched.carrier_id = rating_terms.carrier_id
            and events_matched.service = rating_terms.service
            and events_matched.direction = rating_terms.direction
    left join stretches
        on events_matched.event_id = stretches.event_id
    where
        events_matched.is_used
        and events_matched.free_quantity > 0
        and (events_matched.billed_quantity is not null or stretches.is_covered)

),

quantities_before as (

    select
        *,
        coalesce(sum(billed_quantity) over (
            partition by agreement_id, service, direction, {{ month_of('carrier_local_date') }}
            order by started_at, event_id
            rows between unbounded preceding and 1 preceding
        ), 0) as earlier_quantity
    from events

),

allowances_used as (

    select
        event_id,
        cast(least(billed_quantity, free_quantity - earlier_quantity) as decimal(18, 3)) as free_quantity
    from quantities_before
    where free_quantity > earlier_quantity

)

select * from allowances_used
