-- Fails if an event is rated never or twice, is rated without agreement, deck row or cost, or is unrated
-- without a reason or with a cost: money would leave the sums unseen.
{{ config(meta={'dagster': {'ref': {'name': 'int_events_rated', 'package': 'tollgate'}}}) }}
with

ratings_counted as (

    select
        events.event_id,
        count(rated.event_id) as rating_count
    from {{ ref('int_events_deduplicated') }} as events
    left join {{ ref('int_events_rated') }} as rated
        on events.event_id = rated.event_id
    group by events.event_id

)

select
    event_id,
    'not rated exactly once' as violation
from ratings_counted
where rating_count != 1

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
