with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'cisco_cucm'

),

routes as (

    select * from {{ ref('stg_terms__routes') }}
    where feed = 'cisco_cucm' and refusal_reason is null

),

records as (

    select * from {{ source('usage', 'cisco_cucm') }}

),

records_typed as (

    select
        records.*,
        {{ parse_epoch('records.date_time_origination') }} as started_at,
        -- Zero where nobody answered.
        {{ parse_epoch("nullif(trim(records.date_time_connect), '0')") }} as connected_at,
        -- An answer whose time cannot be read is still an answer: it is refused, and not free.
        coalesce(trim(records.date_time_connect) not in ('', '0'), false) as is_connected,
        {{ parse_epoch('records.date_time_disconnect') }} as ended_at,
        -- Each side has a cause; the one that did not end the call has zero.
        coalesce(
            nullif({{ parse_whole_number('records.dest_cause_value') }}, 0),
            {{ parse_whole_number('records.orig_cause_value') }}
        ) as cause,
        {{ to_e164('records.calling_party_number', 'declared') }} as origin,
        {{ to_e164('records.final_called_party_number', 'declared') }} as destination
    from records
    cross join declared

),

records_read as (

    select
        'cisco_cucm' as feed,
        trim(records.pkid) as source_event_id,
        'voice' as service,
        case
            when outgoing.route is not null then 'outbound'
            when incoming.route is not null then 'inbound'
        end as direction,
        trim(records.client_matter_code) as account_id,
        coalesce(outgoing.carrier_id, incoming.carrier_id) as carrier_id,
        records.origin,
        records.destination,
        case
            when records.is_connected then 'answered'
            else {{ unanswered_status('records.cause') }}
        end as event_status,
        'second' as quantity_unit,
        cast(null as string) as vendor_currency,
        -- The column `duration` may count the ringing too; the times do not.
        case
            when records.is_connected
                then {{ seconds_between('records.connected_at', 'records.ended_at') }}
            else 0
        end as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        records.started_at,
        records.ended_at as received_at,
        records.cdr_record_type,
        records._loaded_at as loaded_at,
        records._file_id as file_id,
        records._record_number as record_number
    from records_typed as records
    left join routes as outgoing
        on {{ route_applies(
            'outgoing', 'trim(records.dest_device_name)', 'records.started_at', "'outbound'"
        ) }}
    left join routes as incoming
        on {{ route_applies(
            'incoming', 'trim(records.orig_device_name)', 'records.started_at', "'inbound'"
        ) }}

)

select
    *,
    coalesce(
        -- The server writes the types of the columns under their names.
        case when cdr_record_type = 'INTEGER' then 'line_of_column_types' end,
        {{ usage_refusal_reason(needs_route=true) }}
    ) as refusal_reason
from records_read
