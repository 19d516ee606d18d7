-- One row per stretch of a deck's time and beginning of a number that was used in it, with its network and
-- the beginning of the caller's number where the deck asks for them: the longest code in force that the
-- number begins with, if any, and the number's country. Far fewer than events, since traffic keeps going to
-- the same places. What a network or the caller decides is looked up by int_callers_matched.
{% set code_lengths = range(15, -1, -1) %} {# the longest first; a code of no digits is every destination #}

with

deck_epochs as (

    select * from {{ ref('int_deck_epochs_derived') }}

),

decks as (

    select distinct
        deck_number,
        carrier_id,
        service,
        direction
    from deck_epochs

),

rate_decks as (

    select
        decks.deck_number,
        rate_decks.deck_row_number,
        rate_decks.dial_code_length,
        {{ number_of_code('rate_decks.dial_code') }} as code_number,
        rate_decks.applies_from_at,
        rate_decks.applies_until_at
    from {{ ref('int_rate_decks_resolved') }} as rate_decks
    inner join decks
        on
            rate_decks.carrier_id = decks.carrier_id
            and rate_decks.service = decks.service
            and rate_decks.direction = decks.direction

),

calling_codes as (

    select
        country_code,
        length(calling_code) as code_length,
        {{ number_of_code('calling_code') }} as code_number
    from {{ ref('calling_codes') }}

),

-- Codes and beginnings as whole numbers: equal integers are found much faster than equal texts.
numbers as (

    select
        beginnings_used.*,
        deck_epochs.deck_number,
        deck_epochs.starts_at,
        beginnings_used.number_beginning
        * {{ power_of_ten('15 - coalesce(deck_epochs.beginning_length, 4)', 'bigint') }} as padded_number
    from {{ ref('int_beginnings_used') }} as beginnings_used
    left join deck_epochs
        on beginnings_used.deck_epoch_id = deck_epochs.deck_epoch_id
    where coalesce(deck_epochs.is_by_number_alone, true)

),

-- One join for each length streams, where one for all lengths would have to gather the codes of each number.
codes_matched as (

    select
        numbers.*,
        coalesce(
            {% for length in code_lengths %}
                code_{{ length }}.deck_row_number{{ ',' if not loop.last }}
            {% endfor %}
        ) as deck_row_number
    from numbers
    {% for length in code_lengths %}
        left join rate_decks as code_{{ length }}
            on
                numbers.deck_number = code_{{ length }}.deck_number
                and code_{{ length }}.dial_code_length = {{ length }}
                and {{ beginning_of_number('numbers.padded_number', length) }} = code_{{ length }}.code_number
                and numbers.beginning_digit_count >= code_{{ length }}.dial_code_length
                and numbers.starts_at >= code_{{ length }}.applies_from_at
                and numbers.starts_at < code_{{ length }}.applies_until_at
    {% endfor %}

),

-- Why has a number no code: is there one that begins later? Only numbers without a code ask; a null finds
-- nothing at once.
codes_last_begun as (

    select
        deck_number,
        dial_code_length,
        code_number,
        max(applies_from_at) as last_applies_from_at
    from rate_decks
    group by deck_number, dial_code_length, code_number

),

numbers_looked_up as (

    select
        codes_matched.deck_epoch_id,
        codes_matched.beginning_digit_count,
        codes_matched.number_beginning,
        0 as network_number,
        0 as origin_beginning,
        codes_matched.padded_number,
        codes_matched.deck_row_number,
        coalesce(
            {% for length in code_lengths %}
                code_{{ length }}.code_number{{ ',' if not loop.last }}
            {% endfor %}
        ) is not null as has_code_to_come,
        false as has_code_of_other_origins
    from codes_matched
    {% for length in code_lengths %}
        left join codes_last_begun as code_{{ length }}
            on
                code_{{ length }}.dial_code_length = {{ length }}
                and codes_matched.beginning_digit_count >= code_{{ length }}.dial_code_length
                and codes_matched.starts_at < code_{{ length }}.last_applies_from_at
                and codes_matched.deck_number = code_{{ length }}.deck_number
                and code_{{ length }}.code_number = case
                    when codes_matched.deck_row_number is null
                        then {{ beginning_of_number('codes_matched.padded_number', length) }}
                end
    {% endfor %}
    union all
    select * from {{ ref('int_callers_matched') }}

),

numbers_matched as (

    select
        numbers.deck_epoch_id,
        numbers.beginning_digit_count,
        numbers.number_beginning,
        numbers.network_number,
        numbers.origin_beginning,
        numbers.deck_row_number,
        coalesce(
            country_4.country_code, country_3.country_code, country_2.country_code, country_1.country_code
        ) as country_code,
        numbers.has_code_to_come,
        numbers.has_code_of_other_origins
    from numbers_looked_up as numbers
    -- The longest decides: some area codes of +1 are countries of their own.
    {% for length in (1, 2, 3, 4) %}
        left join calling_codes as country_{{ length }}
            on
                country_{{ length }}.code_length = {{ length }}
                and numbers.beginning_digit_count >= country_{{ length }}.code_length
                and {{ beginning_of_number('numbers.padded_number', length) }}
                = country_{{ length }}.code_number
    {% endfor %}

)

select * from numbers_matched
