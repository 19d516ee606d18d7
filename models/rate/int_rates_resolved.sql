-- One row per price of a code and interval in which it is in force, per carrier, service and direction. A
-- code is a dial code or a network, for all callers or for those whose number begins with the origin code. It
-- has one price, or one for each time band and each step of a call. A full deck ends every row before it, an
-- amendment ends the prices of its own code, a closed code ends without a successor, so that the next more
-- general code applies. A row applies from its effective date in the agreement's zone, or from receipt if
-- that is later.
with

-- A code whose rate cannot be read is here too: its events are unrated with a reason, instead of being rated
-- by their neighbour.
deck_rows_timed as (

    select * from {{ ref('int_deck_rows_timed') }}

),

-- A full deck that was corrected for the same day replaces all of the deck that it corrects, not only the
-- codes that it repeats.
last_full_decks as (

    select *
    from deck_rows_timed
    where deck_kind = 'full'
    qualify row_number() over (
        partition by carrier_id, service, direction, applies_from_at
        order by received_at desc, loaded_at desc, file_id desc, record_number desc
    ) = 1

),

deck_rows_in_force as (

    select deck_rows_timed.*
    from deck_rows_timed
    left join last_full_decks
        on
            deck_rows_timed.carrier_id = last_full_decks.carrier_id
            and deck_rows_timed.service = last_full_decks.service
            and deck_rows_timed.direction = last_full_decks.direction
            and deck_rows_timed.applies_from_at = last_full_decks.applies_from_at
    where
        last_full_decks.carrier_id is null
        or (
            deck_rows_timed.deck_kind = 'full'
            and deck_rows_timed.deck_version is not distinct from last_full_decks.deck_version
        )
        or (
            deck_rows_timed.deck_kind = 'amendment'
            and deck_rows_timed.received_at >= last_full_decks.received_at
        )

),

-- Of the same price twice in one file the last one counts, of those that can be read.
prices as (

    select *
    from deck_rows_in_force
    qualify row_number() over (
        partition by
            carrier_id, service, direction, code_name, applies_from_at, file_id, deck_version,
            weekdays, from_minute, until_minute, from_quantity
        order by is_refused asc, received_at desc, record_number desc
    ) = 1

),

-- All prices of a code from one instant on stand in one file. One that cannot be read spoils the others.
codes as (

    select
        carrier_id,
        service,
        direction,
        code_name,
        applies_from_at,
        file_id,
        deck_version,
        deck_kind,
        min_by(rate_row_id, record_number) as deck_row_id,
        max(received_at) as last_received_at,
        max(loaded_at) as last_loaded_at,
        max(record_number) as last_record_number,
        bool_or(is_refused) as is_code_refused,
        bool_or(is_closed) as is_code_closed
    from prices
    group by carrier_id, service, direction, code_name, applies_from_at, file_id, deck_version, deck_kind

),

-- The same code twice from the same instant: what was received last counts, of what can be read.
codes_deduplicated as (

    select *
    from codes
    qualify row_number() over (
        partition by carrier_id, service, direction, code_name, applies_from_at
        order by
            is_code_refused asc,
            last_received_at desc,
            last_loaded_at desc,
            file_id desc,
            last_record_number desc
    ) = 1

),

full_deck_starts as (

    select distinct
        carrier_id,
        service,
        direction,
        applies_from_at
    from codes_deduplicated
    where deck_kind = 'full'

),

deck_starts as (

    select distinct
        carrier_id,
        service,
        direction,
        applies_from_at
    from codes_deduplicated

),

starts_before_full_decks as (

    select
        deck_starts.carrier_id,
        deck_starts.service,
        deck_starts.direction,
        deck_starts.applies_from_at,
        min(full_deck_starts.applies_from_at) as next_full_deck_at
    from deck_starts
    inner join full_deck_starts
        on
            deck_starts.carrier_id = full_deck_starts.carrier_id
            and deck_starts.service = full_deck_starts.service
            and deck_starts.direction = full_deck_starts.direction
            and deck_starts.applies_from_at < full_deck_starts.applies_from_at
    group by deck_starts.carrier_id, deck_starts.service, deck_starts.direction, deck_starts.applies_from_at

),

intervals_closed as (

    select
        codes_deduplicated.*,
        least(
            lead(codes_deduplicated.applies_from_at, 1, timestamp '9999-12-31 00:00:00') over (
                partition by
                    codes_deduplicated.carrier_id,
                    codes_deduplicated.service,
                    codes_deduplicated.direction,
                    codes_deduplicated.code_name
                order by codes_deduplicated.applies_from_at
            ),
            coalesce(starts_before_full_decks.next_full_deck_at, timestamp '9999-12-31 00:00:00')
        ) as applies_until_at
    from codes_deduplicated
    left join starts_before_full_decks
        on
            codes_deduplicated.carrier_id = starts_before_full_decks.carrier_id
            and codes_deduplicated.service = starts_before_full_decks.service
            and codes_deduplicated.direction = starts_before_full_decks.direction
            and codes_deduplicated.applies_from_at = starts_before_full_decks.applies_from_at

),

rates_resolved as (

    select
        prices.rate_row_id,
        intervals_closed.deck_row_id,
        prices.carrier_id,
        prices.service,
        prices.direction,
        prices.deck_version,
        prices.deck_kind,
        prices.code_name,
        prices.dial_code,
        prices.mcc,
        prices.mnc,
        prices.origin_code,
        md5(lower(prices.destination_name)) as destination_id,
        prices.destination_name,
        prices.rate_currency,
        prices.rate_unit,
        prices.weekdays,
        prices.from_minute,
        prices.until_minute,
        length(prices.dial_code) as dial_code_length,
        prices.from_quantity,
        prices.rate_amount,
        prices.rate_per_quantity,
        prices.connect_fee_amount,
        prices.minimum_quantity,
        prices.increment_quantity,
        prices.maximum_amount,
        intervals_closed.is_code_refused as is_refused,
        intervals_closed.applies_from_at,
        intervals_closed.applies_until_at
    from intervals_closed
    inner join prices
        on
            intervals_closed.carrier_id = prices.carrier_id
            and intervals_closed.service = prices.service
            and intervals_closed.direction = prices.direction
            and intervals_closed.code_name = prices.code_name
            and intervals_closed.applies_from_at = prices.applies_from_at
            and intervals_closed.file_id = prices.file_id
            and intervals_closed.deck_version is not distinct from prices.deck_version
            and intervals_closed.deck_kind = prices.deck_kind
    where
        not intervals_closed.is_code_closed
        and intervals_closed.applies_until_at > intervals_closed.applies_from_at

)

select * from rates_resolved
