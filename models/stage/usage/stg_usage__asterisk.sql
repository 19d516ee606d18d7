{% set clock = '%Y-%m-%d %H:%M:%S' %}

with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'asterisk'

),

routes as (

    select * from {{ ref('stg_terms__routes') }}
    where feed = 'asterisk' and refusal_reason is null

),

records as (

    select * from {{ source('usage', 'asterisk') }}

),

records_typed as (

    select
        records.uniqueid,
        trim(records.accountcode) as account_id,
        upper(trim(records.disposition)) as disposition,
        {{ asterisk_peer('records.channel') }} as incoming_route,
        {{ asterisk_peer('records.dstchannel') }} as outgoing_route,
        {{ to_e164('records.src', 'declared') }} as origin,
        {{ to_e164('records.dst', 'declared') }} as destination,
        {{ parse_wall_clock('records.start_time', clock, 'declared.time_zone') }} as started_at,
        {{ parse_wall_clock('records.answer_time', clock, 'declared.time_zone') }} as answered_at,
        {{ parse_wall_clock('records.end_time', clock, 'declared.time_zone') }} as ended_at,
        {{ parse_whole_number('records.billsec') }} as billed_seconds,
        {{ parse_whole_number('records.sequence') }} as sequence_number,
        -- A uniqueid stands on every row of its channel, and a sequence begins again with the server.
        records.uniqueid || '/' || records.sequence || '/' || records.linkedid as attempt_id,
        records._loaded_at,
        records._file_id,
        records._record_number
    from records
    cross join declared

),

-- Master.csv only grows, so a copy that is dropped each day brings its older rows again.
copies_numbered as (

    select
        *,
        row_number() over (
            partition by attempt_id order by _loaded_at, _file_id, _record_number
        ) as copy_number
    from records_typed

),

legs_routed as (

    select
        legs.*,
        outgoing.route is null and incoming.route is not null as is_inbound,
        case
            when outgoing.route is not null then 'outbound'
            when incoming.route is not null then 'inbound'
        end as direction,
        coalesce(outgoing.carrier_id, incoming.carrier_id) as carrier_id
    from copies_numbered as legs
    left join routes as outgoing
        on {{ route_applies(
            'outgoing', 'legs.outgoing_route', 'legs.started_at', "'outbound'"
        ) }}
    left join routes as incoming
        on {{ route_applies(
            'incoming', 'legs.incoming_route', 'legs.started_at', "'inbound'"
        ) }}

),

-- To the carrier that brought it, all rows of a channel are one call, however many phones were tried: copies
-- of one event, as long as the rows count together, but no longer than from the first answer to the last end,
-- since phones that ring at once have a row each.
channels_measured as (

    select
        *,
        min(started_at) over (partition by uniqueid) as channel_started_at,
        min(answered_at) over (partition by uniqueid) as channel_answered_at,
        max(ended_at) over (partition by uniqueid) as channel_ended_at,
        sum(case when copy_number = 1 then billed_seconds end) over (partition by uniqueid)
            as channel_billed_seconds,
        first_value(destination) over (
            partition by uniqueid order by started_at nulls last, sequence_number
        ) as channel_destination,
        first_value(disposition) over (
            partition by uniqueid order by ended_at desc nulls last, sequence_number desc
        ) as channel_disposition
    from legs_routed

),

legs_measured as (

    select
        carrier_id,
        direction,
        account_id,
        origin,
        case when is_inbound then uniqueid else attempt_id end as source_event_id,
        case when is_inbound then channel_destination else destination end as destination,
        case when is_inbound then channel_started_at else started_at end as started_at,
        case when is_inbound then channel_ended_at else ended_at end as ended_at,
        case
            when is_inbound and channel_answered_at is not null then 'ANSWERED'
            when is_inbound then channel_disposition
            else disposition
        end as disposition,
        case
            when is_inbound and billed_seconds is not null
                then least(
                    channel_billed_seconds,
                    {{ seconds_between('channel_answered_at', 'channel_ended_at') }}
                )
            else billed_seconds
        end as answered_seconds,
        _loaded_at,
        _file_id,
        _record_number
    from channels_measured

),

records_read as (

    select
        'asterisk' as feed,
        source_event_id,
        'voice' as service,
        direction,
        account_id,
        carrier_id,
        origin,
        destination,
        case disposition
            when 'ANSWERED' then 'answered'
            when 'NO ANSWER' then 'no_answer'
            when 'BUSY' then 'busy'
            when 'FAILED' then 'failed'
            when 'CONGESTION' then 'failed'
            else disposition
        end as event_status,
        'second' as quantity_unit,
        cast(null as string) as vendor_currency,
        -- An attempt that nobody answered counts the seconds in which the caller was already connected.
        cast(case when disposition = 'ANSWERED' then answered_seconds else 0 end as decimal(18, 3))
            as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        started_at,
        ended_at as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from legs_measured

)

select
    *,
    {{ usage_refusal_reason(needs_route=true) }} as refusal_reason
from records_read
