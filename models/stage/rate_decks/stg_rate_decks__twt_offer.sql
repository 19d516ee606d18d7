with

currencies as (

    select currency_code from {{ ref('currencies') }}

),

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'rate_decks' and feed = 'twt_offer'

),

deck_rows as (

    select
        deck_rows.*,
        {{ parse_decimal('deck_rows.peak', 'declared.decimal_mark') }} as peak_amount,
        {{ parse_decimal('deck_rows.off_peak', 'declared.decimal_mark') }} as off_peak_amount,
        {{ parse_day_month_year('deck_rows.effective') }} as row_day
    from {{ source('rate_decks', 'twt_offer') }} as deck_rows
    cross join declared

),

deck_rows_read as (

    select
        'twt_offer' as feed,
        trim(deck_rows.carrier_id) as carrier_id,
        'voice' as service,
        'outbound' as direction,
        {{ deck_version_of_file() }} as deck_version,
        {{ kind_of_full_deck_row('deck_rows.row_day', 'deck_rows.effective_date') }} as deck_kind,
        {{ required_dial_code('deck_rows.code') }} as dial_code,
        trim(deck_rows.destinations) as destination_name,
        {{ closes_code('deck_rows.comment') }} as is_closed,
        {{ opens_code('deck_rows.comment') }} as is_new,
        upper(deck_rows.rate_currency) as rate_currency,
        'second' as rate_unit,
        deck_rows.peak as rate_text,
        case when deck_rows.peak_amount = deck_rows.off_peak_amount then deck_rows.peak_amount end
            as rate_amount,
        deck_rows.peak_amount,
        deck_rows.off_peak_amount,
        60 as rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        {{ one_price_all_week() }},
        {{ first_day_of_row('deck_rows.row_day', 'deck_rows.effective_date') }} as effective_date,
        {{ received_before('deck_rows.effective_date') }} as received_at,
        deck_rows._loaded_at as loaded_at,
        deck_rows._file_id as file_id,
        deck_rows._record_number as record_number
    from deck_rows

)

select
    *,
    {{ deck_refusal_reason(
        'rate_currency in (select currencies.currency_code from currencies)',
        {'time_bands_not_supported': 'peak_amount != off_peak_amount'}
    ) }} as refusal_reason
from deck_rows_read
