with events as (

    select * from {{ source('usage', 'native') }}

),

events_read as (

    select
        'native' as feed,
        trim(event_id) as source_event_id,
        lower(trim(service)) as service,
        lower(trim(direction)) as direction,
        trim(account_id) as account_id,
        trim(carrier_id) as carrier_id,
        trim(leading '+' from trim(origin)) as origin,
        trim(leading '+' from trim(destination)) as destination,
        lower(trim(status)) as event_status,
        lower(trim(quantity_unit)) as quantity_unit,
        cast(null as string) as vendor_currency,
        {{ parse_decimal('quantity', type='decimal(18, 3)') }} as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        {{ parse_instant('started_at') }} as started_at,
        {{ parse_instant('received_at') }} as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from events

)

select
    *,
    {{ usage_refusal_reason() }} as refusal_reason
from events_read
