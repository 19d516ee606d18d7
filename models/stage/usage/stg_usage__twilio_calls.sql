with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'twilio_calls'

),

calls as (

    select * from {{ source('usage', 'twilio_calls') }}

),

calls_read as (

    select
        'twilio_calls' as feed,
        trim(calls.sid) as source_event_id,
        'voice' as service,
        -- Twilio names the product inside the direction: outbound-api, outbound-dial, trunking-terminating
        -- (to the telephone network), trunking-originating (from it).
        case
            when calls.direction like 'outbound%' or calls.direction = 'trunking-terminating' then 'outbound'
            when calls.direction in ('inbound', 'trunking-originating') then 'inbound'
            else calls.direction
        end as direction,
        trim(calls.account_sid) as account_id,
        'twilio' as carrier_id,
        {{ to_e164('calls.' ~ quoted('from'), 'declared') }} as origin,
        {{ to_e164('calls.' ~ quoted('to'), 'declared') }} as destination,
        case calls.status
            when 'completed' then 'answered'
            when 'no-answer' then 'no_answer'
            when 'canceled' then 'cancelled'
            when 'queued' then 'pending'
            when 'ringing' then 'pending'
            when 'in-progress' then 'pending'
            else calls.status
        end as event_status,
        'second' as quantity_unit,
        upper(trim(calls.price_unit)) as vendor_currency,
        -- An unanswered call has no duration; a completed one without it is not final yet and must not pass
        -- as free.
        case
            when calls.duration is not null
                then {{ parse_decimal('calls.duration', 'declared.decimal_mark', 'decimal(18, 3)') }}
            when
                calls.status in (
                    'busy', 'failed', 'no-answer', 'canceled', 'queued', 'ringing', 'in-progress'
                )
                then 0
        end as quantity,
        declared.money_sign * {{ parse_decimal('calls.price', 'declared.decimal_mark') }} as vendor_amount,
        coalesce({{ parse_rfc2822('calls.start_time') }}, {{ parse_instant('calls.start_time') }})
            as started_at,
        coalesce({{ parse_rfc2822('calls.date_updated') }}, {{ parse_instant('calls.date_updated') }})
            as received_at,
        calls._loaded_at as loaded_at,
        calls._file_id as file_id,
        calls._record_number as record_number
    from calls
    cross join declared

)

select
    *,
    {{ usage_refusal_reason() }} as refusal_reason
from calls_read
