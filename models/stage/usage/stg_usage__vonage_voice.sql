with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'vonage_voice'

),

calls as (

    select * from {{ source('usage', 'vonage_voice') }}

),

calls_read as (

    select
        'vonage_voice' as feed,
        trim(calls.call_id) as source_event_id,
        'voice' as service,
        lower(trim(calls.direction)) as direction,
        trim(calls.account_id) as account_id,
        'vonage' as carrier_id,
        {{ to_e164('calls.' ~ quoted('from'), 'declared') }} as origin,
        {{ to_e164('calls.' ~ quoted('to'), 'declared') }} as destination,
        case
            when lower(trim(calls.status)) = 'completed' then 'answered'
            -- A call that was answered, by a person or a machine, goes on until it has an end.
            when lower(trim(calls.status)) in ('answered', 'machine') and calls.date_end is not null
                then 'answered'
            when lower(trim(calls.status)) in ('started', 'ringing', 'answered', 'machine') then 'pending'
            when lower(trim(calls.status)) = 'timeout' then 'no_answer'
            when lower(trim(calls.status)) = 'rejected' then 'failed'
            else lower(trim(calls.status))
        end as event_status,
        'second' as quantity_unit,
        -- Vonage bills in euro where it names no other currency.
        coalesce(upper(nullif(trim(calls.currency), '')), 'EUR') as vendor_currency,
        -- A completed call without a duration is not final yet and must not pass as free.
        case
            when calls.duration is not null
                then {{ parse_decimal('calls.duration', 'declared.decimal_mark', 'decimal(18, 3)') }}
            when
                lower(trim(calls.status))
                in ('started', 'ringing', 'timeout', 'failed', 'rejected', 'cancelled', 'busy')
                then 0
        end as quantity,
        declared.money_sign * {{ parse_decimal('calls.total_price', 'declared.decimal_mark') }}
            as vendor_amount,
        {{ parse_instant('calls.date_start') }} as started_at,
        {{ parse_instant('coalesce(calls.date_end, calls.date_start)') }} as received_at,
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
