-- One row per currency and the days on which a rate counts: a day without a rate takes the last one before
-- it.
with

rates as (

    select
        quote_currency as currency,
        rate_date,
        fx_rate,
        rate_source,
        row_number() over (
            partition by quote_currency, rate_date order by loaded_at desc, file_id desc, record_number desc
        ) as copy_number
    from {{ ref('int_exchange_rates_collected') }}
    where refusal_reason is null

),

rates_dated as (

    select
        currency,
        rate_source,
        fx_rate as units_per_base,
        rate_date as valid_from_date,
        lead(rate_date, 1, date '9999-12-31') over (partition by currency order by rate_date)
            as valid_until_date
    from rates
    where copy_number = 1

),

base_added as (

    select
        '{{ var("fx_base_currency") }}' as currency,
        'base' as rate_source,
        cast(1 as decimal(18, 8)) as units_per_base,
        date '0001-01-01' as valid_from_date,
        date '9999-12-31' as valid_until_date
    union all
    select
        currency,
        rate_source,
        units_per_base,
        valid_from_date,
        valid_until_date
    from rates_dated

)

select * from base_added
