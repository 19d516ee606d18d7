-- Fails if two rows of one code are in force at one instant: an event would have two rates, and which
-- one is chosen would be chance.
{{ config(meta={'dagster': {'ref': {'name': 'int_rate_decks_resolved', 'package': 'tollgate'}}}) }}
with

neighbours_seen as (

    select
        deck_row_id,
        applies_from_at,
        applies_until_at,
        lead(applies_from_at) over (
            partition by carrier_id, service, direction, dial_code, mcc, mnc, origin_code
            order by applies_from_at, applies_until_at
        ) as next_applies_from_at
    from {{ ref('int_rate_decks_resolved') }}

)

select
    deck_row_id,
    applies_from_at,
    applies_until_at,
    next_applies_from_at
from neighbours_seen
where next_applies_from_at < applies_until_at
