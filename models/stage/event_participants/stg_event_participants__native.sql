with

known_partners as (

    select party_id from {{ ref('stg_terms__parties') }}
    where is_partner and refusal_reason is null

),

known_feeds as (

    select feed from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage'

),

participants_read as (

    select
        'native' as feed,
        trim(event_feed) || ':' || trim(event_id) as event_id,
        trim(event_feed) as event_feed,
        trim(participant_partner_id) as participant_partner_id,
        lower(trim(participant_role)) as participant_role,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from {{ source('event_participants', 'native') }}

),

copies_numbered as (

    select
        *,
        row_number() over (
            partition by event_id, participant_partner_id, participant_role
            order by loaded_at, file_id, record_number
        ) as copy_number
    from participants_read

)

select
    *,
    case
        when event_id is null or participant_partner_id is null or participant_role is null
            then 'key_missing'
        when event_feed not in (select known_feeds.feed from known_feeds) then 'event_feed_unknown'
        when not ({{ is_role('participant_role') }}) then 'participant_role_unreadable'
        when participant_partner_id not in (select known_partners.party_id from known_partners)
            then 'participant_unknown'
        when copy_number > 1 then 'participant_repeated'
    end as refusal_reason
from copies_numbered
