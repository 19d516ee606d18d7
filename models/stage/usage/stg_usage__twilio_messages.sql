with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'twilio_messages'

),

messages as (

    select * from {{ source('usage', 'twilio_messages') }}

),

messages_read as (

    select
        'twilio_messages' as feed,
        trim(messages.sid) as source_event_id,
        'sms' as service,
        case
            when messages.direction like 'outbound%' then 'outbound'
            else messages.direction
        end as direction,
        trim(messages.account_sid) as account_id,
        'twilio' as carrier_id,
        {{ to_e164('messages.' ~ quoted('from'), 'declared') }} as origin,
        {{ to_e164('messages.' ~ quoted('to'), 'declared') }} as destination,
        case
            when messages.status in ('delivered', 'undelivered') then messages.status
            when messages.status = 'received' then 'delivered'
            when messages.status = 'failed' then 'rejected'
            when messages.status = 'canceled' then 'cancelled'
            when messages.status = 'sent' then 'unknown'
            when messages.status in ('accepted', 'scheduled', 'queued', 'sending', 'receiving') then 'pending'
            else messages.status
        end as event_status,
        'segment' as quantity_unit,
        upper(trim(messages.price_unit)) as vendor_currency,
        {{ parse_decimal('messages.num_segments', 'declared.decimal_mark', 'decimal(18, 3)') }} as quantity,
        declared.money_sign * {{ parse_decimal('messages.price', 'declared.decimal_mark') }} as vendor_amount,
        coalesce(
            {{ parse_rfc2822('messages.date_sent') }}, {{ parse_instant('messages.date_sent') }},
            {{ parse_rfc2822('messages.date_created') }}, {{ parse_instant('messages.date_created') }}
        ) as started_at,
        coalesce({{ parse_rfc2822('messages.date_updated') }}, {{ parse_instant('messages.date_updated') }})
            as received_at,
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
