with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'fx_rates' and feed = 'ecb'

),

days as (

    select
        *,
        'EUR' as base_currency,
        -- The history writes 2026-10-30, the file of a single day 30 October 2026.
        coalesce(try_cast(date as date), {{ parse_day_month_name_year('date') }}) as rate_date
    from {{ source('fx_rates', 'ecb') }}

),

-- The columns beside the date are the currencies. N/A is a currency without a rate on that day, and the last
-- column, behind a needless comma, has neither name nor value.
quotes as (

    select
        days._file_id as file_id,
        days._record_number as record_number,
        trim(entries.key) as quote_currency,
        {{ parse_decimal('entries.value', 'declared.decimal_mark') }} as fx_rate
    from days
    cross join declared
    cross join {{ json_entries('days._extra_columns') }} as entries
    where trim(entries.value) not in ('N/A', '')

),

rates as (

    select
        'ecb' as feed,
        days.base_currency,
        coalesce(quotes.quote_currency, '') as quote_currency,
        'ECB' as rate_source,
        case
            when days.rate_date is null then 'rate_date_unreadable'
            when quotes.record_number is null then 'rates_missing'
            when days.base_currency != '{{ var("fx_base_currency") }}' then 'base_currency_not_supported'
            -- Any three letters: the bank has rates of currencies that are gone from today's list.
            when
                length(quotes.quote_currency) != 3
                or translate(quotes.quote_currency, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '') != ''
                then 'currency_unknown'
            when quotes.quote_currency = days.base_currency then 'quote_currency_is_the_base'
            when quotes.fx_rate is null or quotes.fx_rate <= 0 then 'rate_unreadable'
        end as refusal_reason,
        quotes.fx_rate,
        days.rate_date,
        days._loaded_at as loaded_at,
        days._file_id as file_id,
        days._record_number as record_number
    from days
    left join quotes
        on days._file_id = quotes.file_id and days._record_number = quotes.record_number

)

-- A line of the file is refused once, for the first of its rates that cannot be used; the others count.
select *
from rates
qualify
    refusal_reason is null
    or row_number() over (
        partition by file_id, record_number, refusal_reason is null order by quote_currency
    ) = 1
