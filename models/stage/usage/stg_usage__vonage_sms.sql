with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'vonage_sms'

),

messages as (

    select * from {{ source('usage', 'vonage_sms') }}

),

messages_read as (

    select
        'vonage_sms' as feed,
        trim(messages.message_id) as source_event_id,
        'sms' as service,
        lower(trim(messages.direction)) as direction,
        trim(messages.account_id) as account_id,
        'vonage' as carrier_id,
        {{ to_e164('messages.' ~ quoted('from'), 'declared') }} as origin,
        {{ to_e164('messages.' ~ quoted('to'), 'declared') }} as destination,
        case
            -- The inbound report has no status: it lists what was received.
            when messages.status is null and lower(trim(messages.direction)) = 'inbound' then 'delivered'
            when lower(trim(messages.status)) = 'failed' then 'undelivered'
            when lower(trim(messages.status)) in ('accepted', 'buffered') then 'pending'
            else lower(trim(messages.status))
        end as event_status,
        'segment' as quantity_unit,
        -- Vonage bills in euro where it names no other currency.
        coalesce(upper(nullif(trim(messages.currency), '')), 'EUR') as vendor_currency,
        -- Each part of a long message is a message of its own to Vonage, with its own id and price.
        cast(1 as decimal(18, 3)) as quantity,
        declared.money_sign * {{ parse_decimal('messages.total_price', 'declared.decimal_mark') }}
            as vendor_amount,
        {{ parse_instant('messages.date_received') }} as started_at,
        {{ parse_instant('coalesce(messages.date_finalized, messages.date_received)') }} as received_at,
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
