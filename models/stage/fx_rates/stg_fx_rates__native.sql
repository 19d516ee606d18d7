with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

fx_rates as (

    select
        'native' as feed,
        upper(trim(base_currency)) as base_currency,
        upper(trim(quote_currency)) as quote_currency,
        trim(source) as rate_source,
        {{ parse_decimal('rate') }} as fx_rate,
        {{ number_written('rate') }} as rate_written,
        try_cast(rate_date as date) as rate_date,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from {{ source('fx_rates', 'native') }}

)

select
    feed,
    base_currency,
    quote_currency,
    rate_source,
    case
        when rate_date is null then 'rate_date_unreadable'
        when fx_rate is null or fx_rate <= 0 then 'rate_unreadable'
        -- A ninth decimal would be rounded away unseen.
        when rate_written != fx_rate then 'rate_has_more_than_8_decimals'
        when base_currency is null or base_currency != '{{ var("fx_base_currency") }}'
            then 'base_currency_not_supported'
        -- The base stands in the rates already, once; a second row would convert every amount twice.
        when quote_currency = base_currency then 'quote_currency_is_the_base'
        when quote_currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
    end as refusal_reason,
    fx_rate,
    rate_date,
    loaded_at,
    file_id,
    record_number
from fx_rates
