-- One row per event with what decides its cost: the agreement, the code of the carrier's own deck as it was
-- in force and known at the start of the event, and the quantity that counts; or the reason why one is
-- missing. A view: whoever rates reads it in one stream, so that nothing of this width is ever written.
{% set code_lengths = range(15, -1, -1) %} {# the longest first; a code of no digits is every destination #}

with

events as (

    select
        event_id,
        feed,
        service,
        direction,
        account_id,
        carrier_id,
        destination,
        event_status,
        quantity_unit,
        is_final_attempt,
        quantity,
        started_at,
        received_at
    from {{ ref('int_events_deduplicated') }}

),

rating_terms as (

    select
        *,
        {{ rate_units('attempt_fee_amount') }} as attempt_fee_units
    from {{ ref('int_rating_terms_resolved') }}

),

-- Numbers instead of names: they are carried through one join per length, for each event.
rate_decks as (

    select
        *,
        {{ rate_units('rate_amount') }} as rate_units,
        {{ rate_units('connect_fee_amount') }} as connect_fee_units,
        {{ rate_units('maximum_amount') }} as maximum_units,
        row_number() over (order by deck_row_id) as deck_row_number
    from {{ ref('int_rate_decks_resolved') }}

),

carriers as (

    select * from {{ ref('int_carriers_resolved') }}

),

calling_codes as (

    select
        country_code,
        length(calling_code) as code_length,
        {{ number_of_code('calling_code') }} as code_number
    from {{ ref('calling_codes') }}

),

-- A deck without any usable row is told apart from a hole in it.
decks as (

    select
        carrier_id,
        service,
        direction,
        row_number() over (order by carrier_id, service, direction) as deck_number
    from rate_decks
    group by carrier_id, service, direction

),

-- Codes and numbers as whole numbers: the beginning of a number is a quotient, and equal integers are found
-- much faster than equal texts.
codes as (

    select
        decks.deck_number,
        rate_decks.deck_row_number,
        rate_decks.dial_code_length,
        {{ number_of_code('rate_decks.dial_code') }} as code_number,
        rate_decks.applies_from_at,
        rate_decks.applies_until_at
    from rate_decks
    inner join decks
        on
            rate_decks.carrier_id = decks.carrier_id
            and rate_decks.service = decks.service
            and rate_decks.direction = decks.direction

),

numbers as (

    select
        events.*,
        decks.deck_number,
        case when events.service = 'email' then 0 else length(events.destination) end as digit_count,
        case when events.service = 'email' then 0 else {{ padded_number('events.destination') }} end
            as padded_number
    from events
    left join decks
        on
            events.carrier_id = decks.carrier_id
            and events.service = decks.service
            and events.direction = decks.direction

),

-- Of the codes in force at the start of the event the longest wins. One join for each length streams, where
-- one join for all lengths would have to gather the codes of each event again.
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
        left join codes as code_{{ length }}
            on
                numbers.deck_number = code_{{ length }}.deck_number
                and code_{{ length }}.dial_code_length = {{ length }}
                and {{ beginning_of_number('numbers.padded_number', length) }} = code_{{ length }}.code_number
                and numbers.digit_count >= code_{{ length }}.dial_code_length
                and numbers.started_at >= code_{{ length }}.applies_from_at
                and numbers.started_at < code_{{ length }}.applies_until_at
    {% endfor %}

),

-- Why has an event no code: is there one that begins later? Only events without a code ask; a null finds
-- nothing at once.
codes_last_begun as (

    select
        deck_number,
        dial_code_length,
        code_number,
        max(applies_from_at) as last_applies_from_at
    from codes
    group by deck_number, dial_code_length, code_number

),

codes_to_come_sought as (

    select
        codes_matched.*,
        coalesce(
            {% for length in code_lengths %}
                code_{{ length }}.code_number{{ ',' if not loop.last }}
            {% endfor %}
        ) is not null as has_code_to_come
    from codes_matched
    {% for length in code_lengths %}
        left join codes_last_begun as code_{{ length }}
            on
                code_{{ length }}.dial_code_length = {{ length }}
                and codes_matched.digit_count >= code_{{ length }}.dial_code_length
                and codes_matched.started_at < code_{{ length }}.last_applies_from_at
                and codes_matched.deck_number = code_{{ length }}.deck_number
                and code_{{ length }}.code_number = case
                    when codes_matched.deck_row_number is null
                        then {{ beginning_of_number('codes_matched.padded_number', length) }}
                end
    {% endfor %}

),

events_with_terms as (

    select
        events.*,
        rating_terms.agreement_id,
        rating_terms.agreement_currency,
        rating_terms.time_zone,
        rating_terms.increment_method,
        rating_terms.increment_rounding_mode,
        rating_terms.increment_rounding_decimals,
        rating_terms.rounding_mode,
        rating_terms.event_rounding_decimals,
        rating_terms.tax_ratio,
        rating_terms.free_quantity,
        rating_terms.attempt_fee_scope,
        rating_terms.attempt_fee_amount,
        rating_terms.attempt_fee_units,
        coalesce(rate_decks.minimum_quantity, rating_terms.minimum_quantity) as minimum_quantity,
        coalesce(rate_decks.increment_quantity, rating_terms.increment_quantity) as increment_quantity,
        {{ whole_quantity('events.quantity', 'rating_terms.quantity_rounding') }} as rounded_quantity,
        rate_decks.deck_row_id,
        rate_decks.deck_version,
        rate_decks.dial_code,
        rate_decks.destination_id,
        rate_decks.destination_name,
        rate_decks.rate_currency,
        rate_decks.rate_unit,
        rate_decks.rate_amount,
        rate_decks.is_refused as is_rate_refused,
        rate_decks.rate_per_quantity,
        rate_decks.connect_fee_amount,
        rate_decks.maximum_amount,
        rate_decks.rate_units,
        rate_decks.connect_fee_units,
        rate_decks.maximum_units,
        rate_decks.has_bands_or_steps,
        coalesce(code_of_3.country_code, code_of_2.country_code, code_of_1.country_code) as country_code,
        {{ is_charged('events.event_status', 'rating_terms.charged_on') }} as is_charged,
        cast({{ to_local('events.started_at', "coalesce(rating_terms.time_zone, 'UTC')") }} as date)
            as carrier_local_date
    from codes_to_come_sought as events
    left join rating_terms
        on
            events.carrier_id = rating_terms.carrier_id
            and events.service = rating_terms.service
            and events.direction = rating_terms.direction
            and events.started_at >= rating_terms.valid_from_at
            and events.started_at < rating_terms.valid_until_at
    left join rate_decks
        on events.deck_row_number = rate_decks.deck_row_number
    -- Calling codes are prefix-free: at most one of them begins a number.
    {% for length in (1, 2, 3) %}
        left join calling_codes as code_of_{{ length }}
            on
                code_of_{{ length }}.code_length = {{ length }}
                and events.digit_count >= code_of_{{ length }}.code_length
                and {{ beginning_of_number('events.padded_number', length) }} = code_of_{{ length }}.code_number
    {% endfor %}

),

statuses_given as (

    select
        events_with_terms.*,
        case events_with_terms.attempt_fee_scope
            when 'failed_attempt' then not events_with_terms.is_charged
            when 'final_attempt' then events_with_terms.is_final_attempt
            else true
        end as is_attempt_charged,
        case
            when not coalesce(carriers.is_known, false) then 'unknown_carrier'
            when events_with_terms.agreement_id is null and carriers.has_refused_agreement
                then 'agreement_refused'
            when events_with_terms.agreement_id is null then 'no_agreement'
            when not events_with_terms.is_charged then null
            -- A switch that lost the end of a call, or its clock.
            when events_with_terms.service = 'voice' and events_with_terms.quantity > 86400
                then 'duration_above_a_day'
            when events_with_terms.started_at > events_with_terms.received_at + interval 1 day
                then 'started_after_receipt'
            when events_with_terms.deck_number is null then 'no_rate_deck'
            when events_with_terms.deck_row_number is null and events_with_terms.has_code_to_come
                then 'rate_not_yet_effective'
            when events_with_terms.deck_row_number is null then 'no_rate'
            when events_with_terms.is_rate_refused then 'rate_refused'
            when events_with_terms.rate_currency != events_with_terms.agreement_currency
                then 'rate_currency_differs'
            when events_with_terms.rate_unit != events_with_terms.quantity_unit then 'quantity_unit_differs'
            -- Which increment would lie in which band, if all of them are counted at the end?
            when
                events_with_terms.has_bands_or_steps
                and events_with_terms.increment_method = 'whole_duration'
                then 'increment_method_without_bands'
        end as unrated_reason
    from events_with_terms
    left join carriers
        on events_with_terms.carrier_id = carriers.carrier_id

),

uses_told as (

    select
        *,
        coalesce(is_charged and unrated_reason is null and rounded_quantity > 0, false) as is_used
    from statuses_given

)

-- What is billed where a code has one price; where it has several, int_events_stepped tells.
select
    *,
    case
        when is_used and has_bands_or_steps then null
        when is_used
            then {{ billed_quantity(
                'rounded_quantity', 'minimum_quantity', 'increment_quantity', 'increment_method'
            ) }}
        when is_charged then cast(0 as decimal(18, 3))
    end as billed_quantity
from uses_told
