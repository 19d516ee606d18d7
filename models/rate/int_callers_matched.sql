-- One row per number that was used in a stretch of a deck's time, with a network and the beginning of the
-- caller's number, where the deck has prices for networks or for some callers: the code in force that prices
-- it, if any. Few decks have such prices; int_numbers_matched looks up all others.
--
-- The destination decides first: its network, then the country of its network, then the longest code that
-- begins the number. Of codes for one destination the one with the longest origin code that begins the
-- caller's number counts, at last the one for all callers; where none is for this caller, it is as if the
-- destination had none.

with

deck_epochs as (

    select * from {{ ref('int_deck_epochs_derived') }}
    where not is_by_number_alone

),

decks as (

    select distinct
        deck_number,
        carrier_id,
        service,
        direction
    from deck_epochs

),

codes as (

    select
        decks.deck_number,
        rate_decks.deck_row_number,
        {{ level_of_code('rate_decks.mcc', 'rate_decks.mnc', 'rate_decks.dial_code_length') }}
            as code_level,
        rate_decks.dial_code_length,
        {{ number_of_code_at_level('rate_decks.dial_code', 'rate_decks.mcc', 'rate_decks.mnc') }}
            as code_number,
        coalesce(length(rate_decks.origin_code), 0) as origin_code_length,
        coalesce({{ origin_number('rate_decks.origin_code') }}, 0) as first_origin,
        coalesce({{ last_origin_number('rate_decks.origin_code') }}, {{ last_origin_number("'9'") }})
            as last_origin,
        rate_decks.applies_from_at,
        rate_decks.applies_until_at
    from {{ ref('int_rate_decks_resolved') }} as rate_decks
    inner join decks
        on
            rate_decks.carrier_id = decks.carrier_id
            and rate_decks.service = decks.service
            and rate_decks.direction = decks.direction

),

numbers as (

    select distinct
        deck_epochs.deck_number,
        deck_epochs.deck_epoch_id,
        events.beginning_digit_count,
        events.number_beginning,
        events.number_beginning * {{ power_of_ten('15 - deck_epochs.beginning_length', 'bigint') }}
            as padded_number,
        events.network_number,
        events.origin_beginning,
        deck_epochs.starts_at
    from {{ ref('int_events_selected') }} as events
    inner join deck_epochs
        on events.deck_epoch_id = deck_epochs.deck_epoch_id

),

-- The codes of each number that are for its caller, in force or to come.
codes_gathered as (

    {% for level in code_levels() %}
        select
            numbers.*,
            codes.deck_row_number,
            codes.code_level * 16 + codes.origin_code_length as code_rank,
            numbers.starts_at >= codes.applies_from_at as is_in_force
        from numbers
        inner join codes
            on
                {{ is_for_number('codes', 'numbers', level) }}
                and numbers.origin_beginning >= codes.first_origin
                and numbers.origin_beginning <= codes.last_origin
                and numbers.starts_at < codes.applies_until_at
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

codes_chosen as (

    select
        deck_epoch_id,
        beginning_digit_count,
        number_beginning,
        network_number,
        origin_beginning,
        max_by(deck_row_number, case when is_in_force then code_rank end) as deck_row_number,
        bool_or(not is_in_force) as has_code_to_come
    from codes_gathered
    group by deck_epoch_id, beginning_digit_count, number_beginning, network_number, origin_beginning

),

callers_looked_up as (

    select
        numbers.*,
        codes_chosen.deck_row_number,
        codes_chosen.deck_row_number is null and coalesce(codes_chosen.has_code_to_come, false)
            as has_code_to_come
    from numbers
    left join codes_chosen
        on
            numbers.deck_epoch_id = codes_chosen.deck_epoch_id
            and numbers.beginning_digit_count = codes_chosen.beginning_digit_count
            and numbers.number_beginning = codes_chosen.number_beginning
            and numbers.network_number = codes_chosen.network_number
            and numbers.origin_beginning = codes_chosen.origin_beginning

),

-- Why has a number no code: is there one for other callers?
codes_of_other_callers as (

    {% for level in code_levels() %}
        select
            numbers.deck_epoch_id,
            numbers.beginning_digit_count,
            numbers.number_beginning,
            numbers.network_number,
            numbers.origin_beginning
        from callers_looked_up as numbers
        inner join codes
            on
                {{ is_for_number('codes', 'numbers', level) }}
                and numbers.starts_at >= codes.applies_from_at
                and numbers.starts_at < codes.applies_until_at
        where numbers.deck_row_number is null
        {{ 'union' if not loop.last }}
    {% endfor %}

),

callers_matched as (

    select
        numbers.deck_epoch_id,
        numbers.beginning_digit_count,
        numbers.number_beginning,
        numbers.network_number,
        numbers.origin_beginning,
        numbers.padded_number,
        numbers.deck_row_number,
        numbers.has_code_to_come,
        codes.deck_epoch_id is not null as has_code_of_other_origins
    from callers_looked_up as numbers
    left join codes_of_other_callers as codes
        on
            numbers.deck_epoch_id = codes.deck_epoch_id
            and numbers.beginning_digit_count = codes.beginning_digit_count
            and numbers.number_beginning = codes.number_beginning
            and numbers.network_number = codes.network_number
            and numbers.origin_beginning = codes.origin_beginning

)

select * from callers_matched
