with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'aws_sns'

),

records as (

    select * from {{ source('usage', 'aws_sns') }}

),

-- One publication goes to many phones, and to each in parts, all under one message id.
records_keyed as (

    select
        *,
        trim(message_id) || '/' || trim(destination_phone_number) || '/' || trim(part_number) as part_key,
        coalesce({{ parse_whole_number('part_number') }} = 0, false) as is_unnumbered
    from records

),

-- Part number 0 says that AWS does not know it, so the parts of a long message may all be number 0. They are
-- counted through, beginning again after the last part: a file that comes twice gives the same numbers twice.
parts as (

    select
        *,
        (row_number() over (partition by part_key order by _loaded_at, _file_id, _record_number) - 1)
        % greatest(coalesce({{ parse_whole_number('total_parts') }}, 1), 1) + 1 as number_among_equals
    from records_keyed

),

parts_read as (

    select
        'aws_sns' as feed,
        case
            when parts.is_unnumbered then parts.part_key || '.' || cast(parts.number_among_equals as string)
            else parts.part_key
        end as source_event_id,
        'sms' as service,
        'outbound' as direction,
        trim(parts.account_id) as account_id,
        'aws' as carrier_id,
        cast(null as string) as origin,
        {{ to_e164('parts.destination_phone_number', 'declared') }} as destination,
        -- AWS reports no receipt of the phone: its last word on success is that the carrier took the message.
        -- `rejected` is what AWS did not send.
        case lower(trim(parts.delivery_status))
            when 'message has been accepted by phone carrier' then 'delivered'
            when 'blocked as spam by phone carrier' then 'undelivered'
            when 'invalid phone number' then 'undelivered'
            when 'phone carrier has blocked this message' then 'undelivered'
            when 'phone carrier is currently unreachable/unavailable' then 'undelivered'
            when 'phone has blocked sms' then 'undelivered'
            when 'phone is currently unreachable/unavailable' then 'undelivered'
            when 'unknown error attempting to reach phone' then 'undelivered'
            when 'destination is on a blocked list' then 'rejected'
            when 'message body is invalid' then 'rejected'
            when 'phone is on a blocked list' then 'rejected'
            when 'phone number is opted out' then 'rejected'
            when 'this delivery would exceed max price' then 'rejected'
            else parts.delivery_status
        end as event_status,
        'segment' as quantity_unit,
        'USD' as vendor_currency,
        -- Each row is one part and carries the price of that part.
        cast(1 as decimal(18, 3)) as quantity,
        declared.money_sign * {{ parse_decimal('parts.price_in_usd', 'declared.decimal_mark') }}
            as vendor_amount,
        {{ parse_instant('parts.publish_time_utc') }} as started_at,
        {{ parse_instant('parts.publish_time_utc') }} as received_at,
        parts._loaded_at as loaded_at,
        parts._file_id as file_id,
        parts._record_number as record_number
    from parts
    cross join declared

)

select
    *,
    {{ usage_refusal_reason() }} as refusal_reason
from parts_read
