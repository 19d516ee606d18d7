-- One row per price that is many times the middle price of its neighbours, or that part of it. Neighbours are
-- the codes of its destination in the same full deck and its amendments or, where these are fewer than three,
-- the dial codes under the same next shorter one. Prices for some callers only are neighbours of each other,
-- since a surcharge on the origin is no mistake. The middle is one of the prices, or two where there is no
-- middle: then a price must be far from both. So neither a mean nor a rounded quotient decides.
{% set fewest_neighbours = 3 %} {# itself included: of two prices nobody can say which is the odd one #}
{% set factor = var('deck_rate_outlier_factor') %}
{# Only groups with prices so far apart are put in order. unit_price is in whole 10^-12, rounded down. #}
{% set holds_far_prices -%}
    count(*) >= {{ fewest_neighbours }}
        and max(prices.unit_price) + 1 >= {{ factor }} * min(prices.unit_price)
{%- endset %}

with

prices as (

    select * from {{ ref('int_rates_resolved') }}
    where not is_refused

),

instants as (

    select
        carrier_id,
        service,
        direction,
        applies_from_at,
        max(case when deck_kind = 'full' then applies_from_at end) as full_deck_from_at
    from prices
    group by carrier_id, service, direction, applies_from_at

),

instants_dated as (

    select
        carrier_id,
        service,
        direction,
        applies_from_at,
        max(full_deck_from_at) over (
            partition by carrier_id, service, direction order by applies_from_at
        ) as full_deck_from_at
    from instants

),

decks_numbered as (

    select
        *,
        dense_rank() over (order by carrier_id, service, direction, full_deck_from_at) as deck_number
    from instants_dated

),

prices_placed as (

    select
        prices.rate_row_id,
        prices.code_name,
        prices.code_name = prices.dial_code as is_dial_code,
        case
            when prices.origin_code is null then prices.destination_id
            else prices.destination_id || ' by origin'
        end as neighbourhood,
        prices.rate_currency,
        prices.rate_unit,
        decks_numbered.deck_number,
        prices.dial_code_length,
        prices.rate_amount,
        prices.rate_per_quantity,
        {{ integer_divide(to_units('prices.rate_amount'), 'prices.rate_per_quantity') }} as unit_price
    from prices
    inner join decks_numbered
        on
            prices.carrier_id = decks_numbered.carrier_id
            and prices.service = decks_numbered.service
            and prices.direction = decks_numbered.direction
            and prices.applies_from_at = decks_numbered.applies_from_at

),

destinations as (

    select
        prices.deck_number,
        prices.neighbourhood,
        prices.rate_currency,
        prices.rate_unit,
        count(*) >= {{ fewest_neighbours }} as has_neighbours,
        {{ holds_far_prices }} as has_far_prices
    from prices_placed as prices
    group by prices.deck_number, prices.neighbourhood, prices.rate_currency, prices.rate_unit

),

codes as (

    select
        deck_number,
        code_name,
        dial_code_length
    from prices_placed
    where is_dial_code
    group by deck_number, code_name, dial_code_length

),

code_lengths as (

    select distinct
        deck_number,
        dial_code_length
    from codes

),

-- Cut first and joined then: in one step with the join, every code would be held against every other one.
beginnings as (

    select
        codes.deck_number,
        codes.code_name,
        substring(codes.code_name, 1, code_lengths.dial_code_length) as beginning
    from codes
    inner join code_lengths
        on
            codes.deck_number = code_lengths.deck_number
            and codes.dial_code_length > code_lengths.dial_code_length

),

codes_sheltered as (

    select
        beginnings.deck_number,
        beginnings.code_name,
        max_by(shorter_codes.code_name, shorter_codes.dial_code_length) as shorter_code_name
    from beginnings
    inner join codes as shorter_codes
        on
            beginnings.deck_number = shorter_codes.deck_number
            and beginnings.beginning = shorter_codes.code_name
    group by beginnings.deck_number, beginnings.code_name

),

-- Only codes that are alone in their destination are held against those under the same shorter code.
families_with_lonely_codes as (

    select distinct
        codes_sheltered.deck_number,
        codes_sheltered.shorter_code_name
    from prices_placed as prices
    inner join destinations
        on
            prices.deck_number = destinations.deck_number
            and prices.neighbourhood = destinations.neighbourhood
            and prices.rate_currency = destinations.rate_currency
            and prices.rate_unit = destinations.rate_unit
    inner join codes_sheltered
        on
            prices.deck_number = codes_sheltered.deck_number
            and prices.code_name = codes_sheltered.code_name
    where not destinations.has_neighbours

),

families as (

    select
        prices.deck_number,
        codes_sheltered.shorter_code_name,
        prices.rate_currency,
        prices.rate_unit
    from prices_placed as prices
    inner join codes_sheltered
        on
            prices.deck_number = codes_sheltered.deck_number
            and prices.code_name = codes_sheltered.code_name
    inner join families_with_lonely_codes
        on
            codes_sheltered.deck_number = families_with_lonely_codes.deck_number
            and codes_sheltered.shorter_code_name = families_with_lonely_codes.shorter_code_name
    group by prices.deck_number, codes_sheltered.shorter_code_name, prices.rate_currency, prices.rate_unit
    having {{ holds_far_prices }}

),

neighbours as (

    select
        prices.rate_row_id,
        prices.deck_number,
        prices.neighbourhood,
        cast(null as string) as shorter_code_name,
        prices.rate_currency,
        prices.rate_unit,
        prices.rate_amount,
        prices.rate_per_quantity,
        prices.unit_price,
        true as is_judged
    from prices_placed as prices
    inner join destinations
        on
            prices.deck_number = destinations.deck_number
            and prices.neighbourhood = destinations.neighbourhood
            and prices.rate_currency = destinations.rate_currency
            and prices.rate_unit = destinations.rate_unit
    where destinations.has_far_prices
    union all
    select
        prices.rate_row_id,
        prices.deck_number,
        codes_sheltered.shorter_code_name as neighbourhood,
        codes_sheltered.shorter_code_name,
        prices.rate_currency,
        prices.rate_unit,
        prices.rate_amount,
        prices.rate_per_quantity,
        prices.unit_price,
        not destinations.has_neighbours as is_judged
    from prices_placed as prices
    inner join codes_sheltered
        on
            prices.deck_number = codes_sheltered.deck_number
            and prices.code_name = codes_sheltered.code_name
    inner join families
        on
            codes_sheltered.deck_number = families.deck_number
            and codes_sheltered.shorter_code_name = families.shorter_code_name
            and prices.rate_currency = families.rate_currency
            and prices.rate_unit = families.rate_unit
    inner join destinations
        on
            prices.deck_number = destinations.deck_number
            and prices.neighbourhood = destinations.neighbourhood
            and prices.rate_currency = destinations.rate_currency
            and prices.rate_unit = destinations.rate_unit

),

neighbours_ordered as (

    select
        *,
        row_number() over (
            partition by deck_number, neighbourhood, rate_currency, rate_unit
            order by unit_price, rate_row_id
        ) as place,
        count(*) over (partition by deck_number, neighbourhood, rate_currency, rate_unit) as neighbour_count
    from neighbours

),

middles as (

    select
        deck_number,
        neighbourhood,
        rate_currency,
        rate_unit,
        max(case when place = {{ integer_divide('(neighbour_count + 1)', 2) }} then rate_amount end)
            as lower_rate_amount,
        max(case when place = {{ integer_divide('(neighbour_count + 1)', 2) }} then rate_per_quantity end)
            as lower_per_quantity,
        max(case when place = {{ integer_divide('neighbour_count', 2) }} + 1 then rate_amount end)
            as upper_rate_amount,
        max(case when place = {{ integer_divide('neighbour_count', 2) }} + 1 then rate_per_quantity end)
            as upper_per_quantity
    from neighbours_ordered
    group by deck_number, neighbourhood, rate_currency, rate_unit

),

distances as (

    select
        neighbours.rate_row_id,
        neighbours.shorter_code_name,
        middles.lower_rate_amount,
        middles.lower_per_quantity,
        middles.upper_rate_amount,
        middles.upper_per_quantity,
        middles.upper_rate_amount > 0
        and {{ multiply_exactly('middles.upper_per_quantity', 'neighbours.rate_amount') }}
        >= {{ factor }} * {{ multiply_exactly('neighbours.rate_per_quantity', 'middles.upper_rate_amount') }}
            as is_far_above,
        middles.lower_rate_amount > 0
        and {{ factor }} * {{ multiply_exactly('middles.lower_per_quantity', 'neighbours.rate_amount') }}
        <= {{ multiply_exactly('neighbours.rate_per_quantity', 'middles.lower_rate_amount') }}
            as is_far_below
    from neighbours
    inner join middles
        on
            neighbours.deck_number = middles.deck_number
            and neighbours.neighbourhood = middles.neighbourhood
            and neighbours.rate_currency = middles.rate_currency
            and neighbours.rate_unit = middles.rate_unit
    where neighbours.is_judged

),

rate_outliers_detected as (

    select
        rate_row_id,
        shorter_code_name,
        case when is_far_above then upper_rate_amount else lower_rate_amount end as middle_rate_amount,
        case when is_far_above then upper_per_quantity else lower_per_quantity end as middle_per_quantity,
        is_far_above
    from distances
    where is_far_above or is_far_below

)

select * from rate_outliers_detected
