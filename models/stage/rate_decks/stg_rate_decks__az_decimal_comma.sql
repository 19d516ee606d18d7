with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'rate_decks' and feed = 'az_decimal_comma'

),

deck_rows as (

    select * from {{ source('rate_decks', 'az_decimal_comma') }}

),

deck_rows_read as (

    select
        'az_decimal_comma' as feed,
        trim(deck_rows.carrier_id) as carrier_id,
        -- The layout is an offer for outbound voice in euro per minute; the file says none of it.
        'voice' as service,
        'outbound' as direction,
        {{ deck_version_of_file() }} as deck_version,
        'full' as deck_kind,
        {{ required_dial_code('deck_rows.prefix') }} as dial_code,
        trim(deck_rows.destination) as destination_name,
        false as is_closed,
        'EUR' as rate_currency,
        'second' as rate_unit,
        replace(deck_rows.rate, ',', '.') as rate_text,
        {{ parse_decimal('deck_rows.rate', 'declared.decimal_mark') }} as rate_amount,
        60 as rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        {{ one_price_all_week() }},
        try_cast(deck_rows.effective_date as date) as effective_date,
        {{ received_before('deck_rows.effective_date') }} as received_at,
        deck_rows._loaded_at as loaded_at,
        deck_rows._file_id as file_id,
        deck_rows._record_number as record_number
    from deck_rows
    cross join declared

)

select
    *,
    {{ deck_refusal_reason() }} as refusal_reason
from deck_rows_read
