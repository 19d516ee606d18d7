with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'microsoft_pstn'

),

calls as (

    select * from {{ source('usage', 'microsoft_pstn') }}

),

calls_read as (

    select
        'microsoft_pstn' as feed,
        -- Not callId, which several rows may share.
        trim(calls.id) as source_event_id,
        'voice' as service,
        -- Who called and which way: user_in, user_out_conf, ucap_in, conf_out.
        case split_part(lower(trim(calls.call_type)), '_', 2)
            when 'in' then 'inbound'
            when 'out' then 'outbound'
            else lower(trim(calls.call_type))
        end as direction,
        -- No field names the tenant; its domain stands in the user's name. Bots have none.
        nullif(split_part(lower(trim(calls.user_principal_name)), '@', 2), '') as account_id,
        'microsoft' as carrier_id,
        {{ to_e164('calls.caller_number', 'declared') }} as origin,
        {{ to_e164('calls.callee_number', 'declared') }} as destination,
        -- There is no status, only how long the call was connected.
        case when calls.duration = '0' then 'no_answer' else 'answered' end as event_status,
        'second' as quantity_unit,
        upper(trim(calls.currency)) as vendor_currency,
        {{ parse_decimal('calls.duration', 'declared.decimal_mark', 'decimal(18, 3)') }} as quantity,
        -- What the call costs your account; connectionCharge is the price of the connection within it.
        declared.money_sign * {{ parse_decimal('calls.charge', 'declared.decimal_mark') }} as vendor_amount,
        {{ parse_instant('calls.start_date_time') }} as started_at,
        {{ parse_instant('coalesce(calls.end_date_time, calls.start_date_time)') }} as received_at,
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
