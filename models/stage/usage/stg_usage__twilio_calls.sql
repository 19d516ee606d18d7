with calls as (

    select * from {{ source('usage', 'twilio_calls') }}

),

calls_read as (

    select
        'twilio_calls' as feed,
        trim(sid) as source_event_id,
        'voice' as service,
        -- Twilio names the product inside the direction: outbound-api, outbound-dial, trunking-terminating
        -- (to the telephone network), trunking-originating (from it).
        case
            when direction like 'outbound%' or direction = 'trunking-terminating' then 'outbound'
            when direction in ('inbound', 'trunking-originating') then 'inbound'
            else direction
        end as direction,
        trim(account_sid) as account_id,
        'twilio' as carrier_id,
        trim(leading '+' from trim({{ quoted('from') }})) as origin,
        trim(leading '+' from trim({{ quoted('to') }})) as destination,
        case status
            when 'completed' then 'answered'
            when 'no-answer' then 'no_answer'
            when 'canceled' then 'cancelled'
            when 'queued' then 'pending'
            when 'ringing' then 'pending'
            when 'in-progress' then 'pending'
            else status
        end as event_status,
        'second' as quantity_unit,
        upper(trim(price_unit)) as vendor_currency,
        -- An unanswered call has no duration; a completed one without it is not final yet and must not pass
        -- as free.
        case
            when duration is not null then try_cast(duration as decimal(18, 3))
            when status in ('busy', 'failed', 'no-answer', 'canceled', 'queued', 'ringing', 'in-progress')
                then 0
        end as quantity,
        -- The price is money out of the account, so it is negative; the house keeps costs positive.
        -try_cast(price as decimal(18, 8)) as vendor_amount,
        coalesce({{ parse_rfc2822('start_time') }}, {{ parse_instant('start_time') }}) as started_at,
        coalesce({{ parse_rfc2822('date_updated') }}, {{ parse_instant('date_updated') }}) as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from calls

)

select
    *,
    {{ usage_refusal_reason() }} as refusal_reason
from calls_read
