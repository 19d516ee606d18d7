with

currencies as (

    select currency_code from {{ ref('currencies') }}

),

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'rate_decks' and feed = 'twt_change_notice'

),

deck_rows as (

    select
        *,
        {{ parse_day_month_year('validity') }} as row_day
    from {{ source('rate_decks', 'twt_change_notice') }}

),

deck_rows_read as (

    select
        'twt_change_notice' as feed,
        trim(deck_rows.carrier_id) as carrier_id,
        'voice' as service,
        'outbound' as direction,
        {{ deck_version_of_file('Notice') }} as deck_version,
        'amendment' as deck_kind,
        {{ required_dial_code('deck_rows.codes') }} as dial_code,
        trim(deck_rows.destination) as destination_name,
        {{ closes_code('deck_rows.comment') }} as is_closed,
        {{ opens_code('deck_rows.comment') }} as is_new,
        upper(deck_rows.rate_currency) as rate_currency,
        'second' as rate_unit,
        deck_rows.rate as rate_text,
        {{ parse_decimal('deck_rows.rate', 'declared.decimal_mark') }} as rate_amount,
        60 as rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        {{ one_price_all_week() }},
        {{ first_day_of_row('deck_rows.row_day', 'deck_rows.effective_date') }} as effective_date,
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
