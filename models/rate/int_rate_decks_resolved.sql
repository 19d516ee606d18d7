-- One row per code (a dial code or a network, and the origin it is for) and interval in which its prices are
-- in force, per carrier, service and direction; no two rows of a code overlap. A code with one price carries
-- it here; where a code has several, for time bands or for steps of a call, they are in int_rates_resolved.
-- All prices of a code share one rate_per_quantity.
with

rates as (

    select * from {{ ref('int_rates_resolved') }}

),

codes_gathered as (

    select
        deck_row_id,
        count(*) as price_count,
        bool_and({{ is_all_week() }}) as is_all_week,
        {{ least_common_multiple('rate_per_quantity') }} as common_per_quantity
    from rates
    group by deck_row_id

),

rate_decks_resolved as (

    select
        rates.deck_row_id,
        rates.carrier_id,
        rates.service,
        rates.direction,
        rates.deck_version,
        rates.code_name,
        rates.dial_code,
        rates.mcc,
        rates.mnc,
        rates.origin_code,
        rates.destination_id,
        rates.destination_name,
        rates.rate_currency,
        rates.rate_unit,
        rates.dial_code_length,
        row_number() over (order by rates.deck_row_id) as deck_row_number,
        case when codes_gathered.price_count = 1 then rates.rate_amount end as rate_amount,
        codes_gathered.common_per_quantity as rate_per_quantity,
        case when codes_gathered.price_count = 1 then rates.connect_fee_amount end as connect_fee_amount,
        case when codes_gathered.price_count = 1 then rates.minimum_quantity end as minimum_quantity,
        case when codes_gathered.price_count = 1 then rates.increment_quantity end as increment_quantity,
        case when codes_gathered.price_count = 1 then rates.maximum_amount end as maximum_amount,
        codes_gathered.price_count > 1 or not codes_gathered.is_all_week as has_bands_or_steps,
        rates.is_refused,
        rates.applies_from_at,
        rates.applies_until_at
    from rates
    inner join codes_gathered
        on rates.deck_row_id = codes_gathered.deck_row_id
    where rates.rate_row_id = rates.deck_row_id

)

select * from rate_decks_resolved
