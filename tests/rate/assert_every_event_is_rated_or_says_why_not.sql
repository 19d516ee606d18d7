-- Fails if an event is rated never or twice, or as another record of it says, is rated without agreement,
-- deck row or cost, or is unrated without a reason or with a cost: money would leave the sums unseen. The
-- events of a day are first compared by sums; only where these differ, one by one.
{{ config(meta={'dagster': {'ref': {'name': 'int_events_rated', 'package': 'tollgate'}}}) }}
{% set of_the_record = [
    'event_id', 'service', 'direction', 'account_id', 'carrier_id', 'event_status', 'quantity_unit', 'quantity',
    'started_at', 'received_at',
] %}

with

events as (

    select
        event_id,
        cast(started_at as date) as event_date,
        {{ fingerprint(of_the_record) }} as fingerprint
    from {{ ref('int_events_deduplicated') }}

),

ratings as (

    select
        event_id,
        cast(started_at as date) as event_date,
        {{ fingerprint(of_the_record) }} as fingerprint
    from {{ ref('int_events_rated') }}

),

events_summed as (

    select
        event_date,
        count(*) as event_count,
        sum(fingerprint) as fingerprints
    from events
    group by event_date

),

ratings_summed as (

    select
        event_date,
        count(*) as rating_count,
        sum(fingerprint) as fingerprints
    from ratings
    group by event_date

),

days_differing as (

    select coalesce(events_summed.event_date, ratings_summed.event_date) as event_date
    from events_summed
    full outer join ratings_summed
        on events_summed.event_date = ratings_summed.event_date
    where
        events_summed.event_count is distinct from ratings_summed.rating_count
        or events_summed.fingerprints is distinct from ratings_summed.fingerprints

),

events_told_apart as (

    select
        events.event_id,
        events.fingerprint,
        1 as event_count,
        0 as rating_count
    from events
    inner join days_differing
        on events.event_date = days_differing.event_date
    union all
    select
        ratings.event_id,
        ratings.fingerprint,
        0 as event_count,
        1 as rating_count
    from ratings
    inner join days_differing
        on ratings.event_date = days_differing.event_date

)

select
    event_id,
    'not rated exactly once, as its record says' as violation
from events_told_apart
group by event_id, fingerprint
having sum(event_count) != 1 or sum(rating_count) != 1

union all

select
    event_id,
    'rated without agreement, deck row, quantity or cost' as violation
from {{ ref('int_events_rated') }}
where
    rating_status = 'rated'
    and (
        unrated_reason is not null
        or agreement_id is null
        -- The fee of an attempt stands in the agreement, not in the deck.
        or (deck_row_id is null and (billed_quantity > 0 or attempt_fee_amount = 0))
        or billed_quantity is null
        or rated_cost_amount is null
        or rated_cost_currency is null
    )

union all

select
    event_id,
    'a cost without being rated' as violation
from {{ ref('int_events_rated') }}
where
    rating_status != 'rated'
    and (
        billed_quantity is not null
        or undivided_cost_amount is not null
        or rated_cost_amount is not null
        or rated_cost_currency is not null
    )

union all

select
    event_id,
    'unrated without a reason, or a reason without being unrated' as violation
from {{ ref('int_events_rated') }}
where (rating_status = 'unrated') != (unrated_reason is not null)

union all

select
    event_id,
    'of no known status' as violation
from {{ ref('int_events_rated') }}
where rating_status is null or rating_status not in ('rated', 'not_charged', 'unrated')
