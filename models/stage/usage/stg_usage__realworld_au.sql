{% set clock = '%d/%m/%Y %H:%M:%S' %}

with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'realworld_au'

),

records as (

    select * from {{ source('usage', 'realworld_au') }}

),

-- RealWorld gives a call no key. A call is known by when it began, between whom and on which service. Costs
-- and durations may change until the invoice is issued, so they are no part of the key.
records_keyed as (

    select
        *,
        trim(call_date)
        || '/' || coalesce(trim(call_from), '')
        || '/' || trim(call_to)
        || '/' || trim(rwts_account_code)
        || '/' || coalesce(trim(originating_number), '') as call_key
    from records

),

-- Calls that share the key, as anonymous ones may, are counted through within their file.
calls as (

    select
        *,
        row_number() over (
            partition by _file_id, call_key
            order by total_duration, billable_duration, _record_number
        ) as number_among_equals
    from records_keyed

),

calls_read as (

    select
        'realworld_au' as feed,
        calls.call_key || '/' || cast(calls.number_among_equals as string) as source_event_id,
        'voice' as service,
        -- The report does not say; it bills calls by where they go to.
        'outbound' as direction,
        trim(calls.rwts_account_code) as account_id,
        'realworld' as carrier_id,
        {{ to_e164('calls.call_from', 'declared') }} as origin,
        case
            -- A 13, 1300 or 1800 number has no 0 before it; eleven digits from a 1 are North America.
            when trim(calls.call_to) like '1%' and length(trim(calls.call_to)) < 11
                then declared.calling_code || trim(calls.call_to)
            else {{ to_e164('calls.call_to', 'declared') }}
        end as destination,
        case upper(trim(calls.answer_status))
            when 'ANSWERED' then 'answered'
            when 'NO ANSWER' then 'no_answer'
            when 'BUSY' then 'busy'
            when 'FAILED' then 'failed'
            when 'CONGESTION' then 'failed'
            else calls.answer_status
        end as event_status,
        'second' as quantity_unit,
        -- The report names no currency: RealWorld bills in Australian dollars. `Cost ex` is without tax.
        'AUD' as vendor_currency,
        -- The total duration is more than the answered one. An answered call without a billable duration must
        -- not pass as free.
        case
            when calls.billable_duration is not null
                then {{ parse_decimal('calls.billable_duration', 'declared.decimal_mark', 'decimal(18, 3)') }}
            when upper(trim(calls.answer_status)) in ('NO ANSWER', 'BUSY', 'FAILED', 'CONGESTION')
                then 0
        end as quantity,
        declared.money_sign * {{ parse_decimal('calls.cost_ex', 'declared.decimal_mark') }} as vendor_amount,
        {{ parse_wall_clock('calls.call_date', clock, 'declared.time_zone') }} as started_at,
        -- The report has no later time, so of two exports of a call the one loaded last counts.
        {{ parse_wall_clock('calls.call_date', clock, 'declared.time_zone') }} as received_at,
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
