with deck_rows as (

    select * from {{ source('rate_decks', 'az_decimal_comma') }}

),

deck_rows_read as (

    select
        'az_decimal_comma' as feed,
        trim(carrier_id) as carrier_id,
        -- The layout is an offer for outbound voice in euro per minute; the file says none of it.
        'voice' as service,
        'outbound' as direction,
        -- A corrected file for the same day is another version.
        'A-Z ' || effective_date || ' ' || substring(_file_id, 1, 8) as deck_version,
        'full' as deck_kind,
        trim(leading '+' from trim(prefix)) as dial_code,
        trim(destination) as destination_name,
        false as is_closed,
        'EUR' as rate_currency,
        'second' as rate_unit,
        replace(rate, ',', '.') as rate_text,
        try_cast(replace(rate, ',', '.') as decimal(18, 8)) as rate_amount,
        60 as rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        try_cast(effective_date as date) as effective_date,
        -- The file does not say when it was received: it counts as received before its first day begins in
        -- any zone.
        cast(try_cast(effective_date as date) - interval 1 day as timestamp) as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from deck_rows

)

select
    feed,
    carrier_id,
    service,
    direction,
    deck_version,
    deck_kind,
    dial_code,
    destination_name,
    rate_currency,
    rate_unit,
    {{ deck_refusal_reason() }} as refusal_reason,
    rate_amount,
    rate_per_quantity,
    connect_fee_amount,
    is_closed,
    effective_date,
    received_at,
    loaded_at,
    file_id,
    record_number
from deck_rows_read
