with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'aws_end_user_messaging'

),

events as (

    select * from {{ source('usage', 'aws_end_user_messaging') }}

),

events_read as (

    select
        'aws_end_user_messaging' as feed,
        -- Several events are states of one message, and each repeats its price.
        trim(events.message_id) as source_event_id,
        -- The type of the event begins with the service. Media, voice and RCS have prices of their own and
        -- are refused as such.
        case
            when events.event_type like 'TEXT%' then 'sms'
            else lower(split_part(events.event_type, '_', 1))
        end as service,
        'outbound' as direction,
        trim(events.account_id) as account_id,
        'aws' as carrier_id,
        {{ to_e164('events.origination_phone_number', 'declared') }} as origin,
        {{ to_e164('events.destination_phone_number', 'declared') }} as destination,
        trim(events.mcc) as mcc,
        trim(events.mnc) as mnc,
        -- Until isFinal no word is the last, not even a failure. Where no handset reports, AWS says
        -- successful for delivered.
        case
            when events.is_final = 'false' then 'pending'
            when events.event_type in ('TEXT_DELIVERED', 'TEXT_SUCCESSFUL') then 'delivered'
            when
                events.event_type in (
                    'TEXT_UNREACHABLE', 'TEXT_CARRIER_UNREACHABLE', 'TEXT_BLOCKED', 'TEXT_CARRIER_BLOCKED',
                    'TEXT_SPAM'
                )
                then 'undelivered'
            when events.event_type in ('TEXT_INVALID', 'TEXT_INVALID_MESSAGE', 'TEXT_PROTECT_BLOCKED')
                then 'rejected'
            when events.event_type = 'TEXT_TTL_EXPIRED' then 'expired'
            when events.event_type = 'TEXT_UNKNOWN' then 'unknown'
            else lower(events.event_type)
        end as event_status,
        'segment' as quantity_unit,
        -- AWS prices messages in US dollars and does not say so in the event.
        'USD' as vendor_currency,
        {{ parse_decimal('events.total_message_parts', 'declared.decimal_mark', 'decimal(18, 3)') }}
            as quantity,
        declared.money_sign * try_cast(
            {{ parse_decimal('events.total_message_price', 'declared.decimal_mark', 'decimal(20, 8)') }}
            + {{ parse_decimal(
                "coalesce(events.total_carrier_fee, '0')", 'declared.decimal_mark', 'decimal(20, 8)'
            ) }} as decimal(18, 8)
        ) as vendor_amount,
        {{ parse_epoch('events.message_request_timestamp', 1000) }} as started_at,
        {{ parse_epoch('events.event_timestamp', 1000) }} as received_at,
        events._loaded_at as loaded_at,
        events._file_id as file_id,
        events._record_number as record_number
    from events
    cross join declared

)

select
    *,
    {{ usage_refusal_reason(states_network=true) }} as refusal_reason
from events_read
