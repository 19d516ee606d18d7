{% set clock = '%Y/%m/%d %I:%M:%S %p' %}

with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'bandwidth_bdr'

),

records as (

    select * from {{ source('usage', 'bandwidth_bdr') }}

),

calls as (

    select
        *,
        upper(trim(call_type)) as call_type_name,
        trim(call_source) as source_number,
        trim(call_destination) as dialled_number
    from records

),

calls_read as (

    select
        'bandwidth_bdr' as feed,
        trim(calls.bdr_id) as source_event_id,
        'voice' as service,
        -- The type is cut after 21 characters. What originates in the telephone network comes in to the
        -- customer, what terminates there goes out. Other types are refused until someone knows them.
        case
            when calls.call_type_name like '%ORIGINATION%' then 'inbound'
            when
                calls.call_type_name in ('INTERSTATE', 'INTRASTATE', 'INTERNATIONAL', 'INFORMATION')
                or calls.call_type_name like '%TERMINATION%'
                then 'outbound'
            else calls.call_type_name
        end as direction,
        trim(calls.account_number) as account_id,
        'bandwidth' as carrier_id,
        -- Ten digits lack the calling code, fewer are a service such as 411; eleven begin with it.
        case
            when {{ is_digits('calls.source_number') }} and length(calls.source_number) <= 10
                then declared.calling_code || calls.source_number
            else {{ to_e164('calls.source_number', 'declared') }}
        end as origin,
        case
            when {{ is_digits('calls.dialled_number') }} and length(calls.dialled_number) <= 10
                then declared.calling_code || calls.dialled_number
            else {{ to_e164('calls.dialled_number', 'declared') }}
        end as destination,
        -- The report lists what is billed, so every call in it was answered.
        'answered' as event_status,
        'second' as quantity_unit,
        -- The report names no currency: Bandwidth bills in US dollars.
        'USD' as vendor_currency,
        -- Bandwidth has rounded up to six seconds; what was talked is not in the report.
        {{ parse_decimal('calls.duration', 'declared.decimal_mark', 'decimal(18, 3)') }} as quantity,
        declared.money_sign * {{ parse_decimal('calls.amount', 'declared.decimal_mark') }} as vendor_amount,
        {{ parse_wall_clock('calls.call_start_date_time', clock, 'declared.time_zone') }} as started_at,
        {{ parse_wall_clock('calls.call_end_date_time', clock, 'declared.time_zone') }} as received_at,
        calls._loaded_at as loaded_at,
        calls._file_id as file_id,
        calls._record_number as record_number,
        -- Ten digits of a call abroad may be national, as in Jamaica, or begin with another calling code.
        coalesce(
            calls.call_type_name = 'INTERNATIONAL'
            and {{ is_digits('calls.dialled_number') }}
            and length(calls.dialled_number) <= 10,
            false
        ) as is_ambiguous
    from calls
    cross join declared

)

select
    *,
    case
        when is_ambiguous then 'destination_not_international'
        else {{ usage_refusal_reason() }}
    end as refusal_reason
from calls_read
