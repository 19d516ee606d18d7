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
        max(valid_until_date) over (
            partition by feed, route order by valid_from_date nulls last, valid_until_date
            rows between unbounded preceding and 1 preceding
        ) as previous_until_date,
        lead(valid_from_date) over (
            partition by feed, route order by valid_from_date nulls last, valid_until_date
        ) as next_from_date
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
        when valid_from_date is null or valid_until_date <= valid_from_date then 'validity_unreadable'
        when valid_until_text is not null and try_cast(valid_until_text as date) is null
            then 'validity_unreadable'
        when previous_until_date > valid_from_date or next_from_date < valid_until_date
            then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
