with messages as (

    select * from {{ source('usage', 'twilio_messages') }}

),

messages_read as (

    select
        'twilio_messages' as feed,
        trim(sid) as source_event_id,
        'sms' as service,
        case
            when direction like 'outbound%' then 'outbound'
            else direction
        end as direction,
        trim(account_sid) as account_id,
        'twilio' as carrier_id,
        trim(leading '+' from trim({{ quoted('from') }})) as origin,
        trim(leading '+' from trim({{ quoted('to') }})) as destination,
        case
            when status in ('delivered', 'undelivered') then status
            when status = 'received' then 'delivered'
            when status = 'failed' then 'rejected'
            when status = 'canceled' then 'cancelled'
            when status = 'sent' then 'unknown'
            when status in ('accepted', 'scheduled', 'queued', 'sending', 'receiving') then 'pending'
            else status
        end as event_status,
        'segment' as quantity_unit,
        upper(trim(price_unit)) as vendor_currency,
        try_cast(num_segments as decimal(18, 3)) as quantity,
        -- The price is money out of the account, so it is negative; the house keeps costs positive.
        -try_cast(price as decimal(18, 8)) as vendor_amount,
        coalesce(
            {{ parse_rfc2822('date_sent') }}, {{ parse_instant('date_sent') }},
            {{ parse_rfc2822('date_created') }}, {{ parse_instant('date_created') }}
        ) as started_at,
        coalesce({{ parse_rfc2822('date_updated') }}, {{ parse_instant('date_updated') }}) as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from messages

)

select
    *,
    {{ usage_refusal_reason() }} as refusal_reason
from messages_read
