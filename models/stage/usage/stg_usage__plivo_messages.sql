with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'plivo_messages'

),

messages as (

    select * from {{ source('usage', 'plivo_messages') }}

),

messages_read as (

    select
        'plivo_messages' as feed,
        trim(messages.message_uuid) as source_event_id,
        -- WhatsApp is another service with prices of its own, and refused as such.
        lower(trim(messages.message_type)) as service,
        lower(trim(messages.message_direction)) as direction,
        -- Only the path says whose message it is: /v1/Account/<account>/Message/<message>/.
        nullif(split_part(messages.resource_uri, '/', 4), '') as account_id,
        'plivo' as carrier_id,
        {{ to_e164('messages.from_number', 'declared') }} as origin,
        {{ to_e164('messages.to_number', 'declared') }} as destination,
        case lower(trim(messages.message_state))
            when 'received' then 'delivered'
            when 'failed' then 'rejected'
            when 'queued' then 'pending'
            when 'sent' then 'unknown'
            else lower(trim(messages.message_state))
        end as event_status,
        case when lower(trim(messages.message_type)) = 'mms' then 'message' else 'segment' end
            as quantity_unit,
        -- No field names a currency.
        cast(null as string) as vendor_currency,
        {{ parse_decimal('messages.units', 'declared.decimal_mark', 'decimal(18, 3)') }} as quantity,
        declared.money_sign * {{ parse_decimal('messages.total_amount', 'declared.decimal_mark') }}
            as vendor_amount,
        {{ parse_instant('messages.message_time') }} as started_at,
        {{ parse_instant(
            'coalesce(messages.message_updated_time, messages.message_sent_time, messages.message_time)'
        ) }} as received_at,
        messages._loaded_at as loaded_at,
        messages._file_id as file_id,
        messages._record_number as record_number
    from messages
    cross join declared

)

select
    *,
    {{ usage_refusal_reason() }} as refusal_reason
from messages_read
