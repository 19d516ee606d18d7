-- Fails if a currency has two exchange rates on one day, or none on a day after its first: an amount would be
-- converted twice, or drop out of the margins.
{{ config(meta={'dagster': {'ref': {'name': 'int_fx_rates_dated', 'package': 'tollgate'}}}) }}
with

neighbours_seen as (

    select
        currency,
        valid_from_date,
        valid_until_date,
        lead(valid_from_date) over (partition by currency order by valid_from_date) as next_valid_from_date
    from {{ ref('int_fx_rates_dated') }}

)

select
    currency,
    valid_from_date,
    valid_until_date,
    next_valid_from_date
from neighbours_seen
where
    valid_until_date <= valid_from_date
    or valid_until_date != coalesce(next_valid_from_date, date '9999-12-31')
