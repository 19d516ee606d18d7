with

currencies as (

    select currency_code from {{ ref('currencies') }}

),

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'rate_decks' and feed = 'ixc_softswitch'

),

deck_rows as (

    select * from {{ source('rate_decks', 'ixc_softswitch') }}

),

deck_rows_read as (

    select
        'ixc_softswitch' as feed,
        trim(deck_rows.carrier_id) as carrier_id,
        'voice' as service,
        'outbound' as direction,
        {{ deck_version_of_file() }} as deck_version,
        'full' as deck_kind,
        {{ required_dial_code('deck_rows.code') }} as dial_code,
        trim(deck_rows.country) as destination_name,
        false as is_closed,
        upper(deck_rows.rate_currency) as rate_currency,
        'second' as rate_unit,
        replace(deck_rows.price, ',', '.') as rate_text,
        {{ parse_decimal('deck_rows.price', 'declared.decimal_mark') }} as rate_amount,
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
    {{ deck_refusal_reason('rate_currency in (select currencies.currency_code from currencies)') }}
        as refusal_reason
from deck_rows_read
