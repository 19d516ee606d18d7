-- One row per deck row that its own file contradicts: the price that counts of a code given twice with other
-- prices for the same time, and the closing of a code that is priced as well.
with

deck_rows as (

    select * from {{ ref('int_deck_rows_timed') }}
    where not is_refused

),

prices as (

    select * from {{ ref('int_rates_resolved') }}

),

rows_repeated as (

    select
        file_id,
        code_name,
        weekdays,
        from_minute,
        until_minute,
        from_quantity
    from deck_rows
    where not is_closed
    group by file_id, code_name, weekdays, from_minute, until_minute, from_quantity
    having count(*) > 1

),

copies as (

    select deck_rows.*
    from deck_rows
    inner join rows_repeated
        on
            deck_rows.file_id = rows_repeated.file_id
            and deck_rows.code_name = rows_repeated.code_name
            and deck_rows.weekdays = rows_repeated.weekdays
            and deck_rows.from_minute = rows_repeated.from_minute
            and deck_rows.until_minute = rows_repeated.until_minute
            and deck_rows.from_quantity = rows_repeated.from_quantity
    where not deck_rows.is_closed

),

prices_repeated as (

    select
        carrier_id,
        service,
        direction,
        code_name,
        applies_from_at,
        file_id,
        deck_version,
        weekdays,
        from_minute,
        until_minute,
        from_quantity,
        min(rate_amount) as least_rate_amount,
        max(rate_amount) as greatest_rate_amount,
        min_by(rate_per_quantity, rate_amount) as least_per_quantity,
        max_by(rate_per_quantity, rate_amount) as greatest_per_quantity
    from copies
    group by
        carrier_id, service, direction, code_name, applies_from_at, file_id, deck_version,
        weekdays, from_minute, until_minute, from_quantity
    having
        min(rate_amount) != max(rate_amount)
        or min(rate_per_quantity) != max(rate_per_quantity)
        or min(rate_currency) != max(rate_currency)
        or min(rate_unit) != max(rate_unit)
        or min(connect_fee_amount) != max(connect_fee_amount)
        or min(coalesce(minimum_quantity, -1)) != max(coalesce(minimum_quantity, -1))
        or min(coalesce(increment_quantity, -1)) != max(coalesce(increment_quantity, -1))
        or min(coalesce(maximum_amount, -1)) != max(coalesce(maximum_amount, -1))

),

prices_contradicted as (

    select
        prices.rate_row_id,
        case
            when prices.rate_amount = prices_repeated.least_rate_amount
                then prices_repeated.greatest_rate_amount
            else prices_repeated.least_rate_amount
        end as other_rate_amount,
        case
            when prices.rate_amount = prices_repeated.least_rate_amount
                then prices_repeated.greatest_per_quantity
            else prices_repeated.least_per_quantity
        end as other_per_quantity,
        false as is_closing
    from prices_repeated
    inner join copies
        on
            prices_repeated.carrier_id = copies.carrier_id
            and prices_repeated.service = copies.service
            and prices_repeated.direction = copies.direction
            and prices_repeated.code_name = copies.code_name
            and prices_repeated.applies_from_at = copies.applies_from_at
            and prices_repeated.file_id = copies.file_id
            and prices_repeated.deck_version is not distinct from copies.deck_version
            and prices_repeated.weekdays = copies.weekdays
            and prices_repeated.from_minute = copies.from_minute
            and prices_repeated.until_minute = copies.until_minute
            and prices_repeated.from_quantity = copies.from_quantity
    -- Of the copies only the one that counts is a price.
    inner join prices
        on copies.rate_row_id = prices.rate_row_id

),

closings_contradicted as (

    select
        min(closings.rate_row_id) as rate_row_id,
        max(deck_rows.rate_amount) as other_rate_amount,
        max_by(deck_rows.rate_per_quantity, deck_rows.rate_amount) as other_per_quantity,
        true as is_closing
    from deck_rows as closings
    inner join deck_rows
        on
            closings.carrier_id = deck_rows.carrier_id
            and closings.service = deck_rows.service
            and closings.direction = deck_rows.direction
            and closings.code_name = deck_rows.code_name
            and closings.applies_from_at = deck_rows.applies_from_at
            and closings.file_id = deck_rows.file_id
            and closings.deck_version is not distinct from deck_rows.deck_version
            and closings.deck_kind = deck_rows.deck_kind
    where closings.is_closed and not deck_rows.is_closed
    group by
        closings.carrier_id, closings.service, closings.direction, closings.code_name,
        closings.applies_from_at, closings.file_id, closings.deck_version, closings.deck_kind

),

deck_rows_contradicted as (

    select * from prices_contradicted
    union all
    select * from closings_contradicted

)

select * from deck_rows_contradicted
