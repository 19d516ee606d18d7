with

known_feeds as (

    select feed from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage'

),

routes as (

    select
        trim(feed) as feed,
        trim(route) as route,
        lower(trim(direction)) as direction,
        trim(carrier_id) as carrier_id,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('routes') }}

),

neighbours_seen as (

    select
        *,
        {{ previous_until('feed, route') }} as previous_until_date,
        {{ next_from('feed, route') }} as next_from_date
    from routes

)

select
    feed,
    route,
    direction,
    carrier_id,
    case
        when feed is null or route is null or carrier_id is null then 'key_missing'
        when feed not in (select known_feeds.feed from known_feeds) then 'feed_unknown'
        when direction not in ('outbound', 'inbound') then 'direction_unknown'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
