-- One row per price that is higher than the one that it takes the place of, and was received with less notice
-- than the agreement asks for.
with

deck_rows as (

    select * from {{ ref('int_deck_rows_timed') }}

),

codes as (

    select
        *,
        lag(deck_row_id) over (
            partition by carrier_id, service, direction, code_name order by applies_from_at
        ) as last_deck_row_id,
        lag(applies_until_at) over (
            partition by carrier_id, service, direction, code_name order by applies_from_at
        ) as last_until_at
    from {{ ref('int_rate_decks_resolved') }}

),

codes_noticed_late as (

    select
        codes.deck_row_id,
        codes.last_deck_row_id
    from codes
    inner join deck_rows
        on codes.deck_row_id = deck_rows.rate_row_id
    where
        codes.last_until_at = codes.applies_from_at
        and deck_rows.notice_days < deck_rows.increase_notice_days

),

codes_around_them as (

    select deck_row_id
    from codes_noticed_late
    union
    select last_deck_row_id as deck_row_id
    from codes_noticed_late

),

prices as (

    select
        rates.*,
        lead(rates.from_quantity) over (
            partition by rates.deck_row_id, rates.weekdays, rates.from_minute, rates.until_minute
            order by rates.from_quantity
        ) as until_quantity
    from {{ ref('int_rates_resolved') }} as rates
    inner join codes_around_them
        on rates.deck_row_id = codes_around_them.deck_row_id
    where not rates.is_refused

),

-- Old and new price of the same minutes and seconds; of several old ones the cheapest.
late_increases_detected as (

    select
        new_prices.rate_row_id,
        old_prices.rate_amount as last_rate_amount,
        old_prices.rate_per_quantity as last_per_quantity
    from codes_noticed_late
    inner join prices as new_prices
        on codes_noticed_late.deck_row_id = new_prices.deck_row_id
    inner join prices as old_prices
        on
            codes_noticed_late.last_deck_row_id = old_prices.deck_row_id
            and new_prices.rate_currency = old_prices.rate_currency
            and new_prices.rate_unit = old_prices.rate_unit
            and new_prices.from_minute < old_prices.until_minute
            and new_prices.until_minute > old_prices.from_minute
            and (
                old_prices.until_quantity is null
                or new_prices.from_quantity < old_prices.until_quantity
            )
            and (
                new_prices.until_quantity is null
                or new_prices.until_quantity > old_prices.from_quantity
            )
    where
        {{ multiply_exactly('old_prices.rate_per_quantity', 'new_prices.rate_amount') }}
        > {{ multiply_exactly('new_prices.rate_per_quantity', 'old_prices.rate_amount') }}
        and (
            {% for day in range(1, 8) %}
                (
                    substring(new_prices.weekdays, {{ day }}, 1) = '1'
                    and substring(old_prices.weekdays, {{ day }}, 1) = '1'
                )
                {{ 'or' if not loop.last }}
            {% endfor %}
        )
    qualify row_number() over (
        partition by new_prices.rate_row_id
        order by
            {{ divide_and_round('old_prices.rate_amount', 'old_prices.rate_per_quantity', 12, "'half_up'") }},
            old_prices.rate_row_id
    ) = 1

)

select * from late_increases_detected
