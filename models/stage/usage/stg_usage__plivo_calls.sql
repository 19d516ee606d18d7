with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'plivo_calls'

),

calls as (

    select * from {{ source('usage', 'plivo_calls') }}

),

calls_read as (

    select
        'plivo_calls' as feed,
        -- Each leg has a key of its own and is billed by itself. Pages overlap while calls come in, so a key
        -- that stands on two pages is one leg.
        trim(calls.call_uuid) as source_event_id,
        'voice' as service,
        lower(trim(calls.call_direction)) as direction,
        -- Only the path says whose call it is: /v1/Account/<account>/Call/<call>/.
        nullif(split_part(calls.resource_uri, '/', 4), '') as account_id,
        'plivo' as carrier_id,
        {{ to_e164('calls.from_number', 'declared') }} as origin,
        {{ to_e164('calls.to_number', 'declared') }} as destination,
        -- Plivo's codes of hangup causes; their names are spelt in several ways. Nobody answered is what is
        -- known of an unanswered call without one (0 is "unknown").
        case
            when calls.end_time is null then 'pending'
            when calls.answer_time is not null then 'answered'
            when coalesce(calls.hangup_cause_code, '0') in ('0', '3000', '6010') then 'no_answer'
            when calls.hangup_cause_code = '3010' then 'busy'
            when calls.hangup_cause_code like '1___' then 'cancelled'
            else 'failed'
        end as event_status,
        'second' as quantity_unit,
        -- No field names a currency.
        cast(null as string) as vendor_currency,
        -- Of three durations the one before rounding, from the answer on; billed_duration is rounded up.
        {{ parse_decimal('calls.bill_duration', 'declared.decimal_mark', 'decimal(18, 3)') }} as quantity,
        declared.money_sign * {{ parse_decimal('calls.total_amount', 'declared.decimal_mark') }}
            as vendor_amount,
        {{ parse_instant('calls.initiation_time') }} as started_at,
        {{ parse_instant('coalesce(calls.end_time, calls.answer_time, calls.initiation_time)') }}
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
