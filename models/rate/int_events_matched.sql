-- One row per event with what decides its cost: the agreement, the code of the carrier's own deck as it was
-- in force and known at the start of the event, and the quantity that counts; or the reason why one is
-- missing.
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

    select * from {{ ref('int_rating_terms_resolved') }}

),

rate_decks as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

carriers as (

    select distinct party_id
    from {{ ref('stg_terms__parties') }}
    where is_carrier

),

calling_codes as (

    select * from {{ ref('calling_codes') }}

),

-- Agreements that exist but were refused: their events say so, instead of pretending that there is no
-- agreement.
refused_agreements as (

    select distinct party_id
    from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is not null

),

code_lengths as (

    select distinct
        carrier_id,
        service,
        direction,
        dial_code_length
    from rate_decks

),

code_lengths_counted as (

    select
        carrier_id,
        service,
        direction,
        count(*) as code_length_count
    from code_lengths
    group by carrier_id, service, direction

),

-- The beginnings of each destination, one for each length of code in the carrier's deck. Made before the
-- deck is joined, so that the join meets the code by equality.
beginnings as (

    select
        events.event_id,
        events.carrier_id,
        events.service,
        events.direction,
        events.started_at,
        substring(events.destination, 1, code_lengths.dial_code_length) as dial_code
    from events
    inner join code_lengths
        on
            events.carrier_id = code_lengths.carrier_id
            and events.service = code_lengths.service
            and events.direction = code_lengths.direction
    where length(events.destination) >= code_lengths.dial_code_length

),

-- Of the codes in force at the start of the event the longest wins.
codes_matched as (

    select
        beginnings.event_id,
        max_by(rate_decks.deck_row_id, rate_decks.dial_code_length) as deck_row_id
    from beginnings
    inner join rate_decks
        on
            beginnings.carrier_id = rate_decks.carrier_id
            and beginnings.service = rate_decks.service
            and beginnings.direction = rate_decks.direction
            and beginnings.dial_code = rate_decks.dial_code
            and beginnings.started_at >= rate_decks.applies_from_at
            and beginnings.started_at < rate_decks.applies_until_at
    group by beginnings.event_id

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
        case rating_terms.attempt_fee_scope
            when 'failed_attempt'
                then not {{ is_charged('events.event_status', 'rating_terms.charged_on') }}
            when 'final_attempt' then events.is_final_attempt
            else true
        end as is_attempt_charged,
        rating_terms.attempt_fee_amount,
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
        rate_decks.has_bands_or_steps,
        calling_codes.country_code,
        -- A deck without any usable row, or a code whose row starts later, are told apart from a hole in the
        -- deck.
        code_lengths_counted.code_length_count,
        {{ is_charged('events.event_status', 'rating_terms.charged_on') }} as is_charged,
        cast({{ to_local('events.started_at', "coalesce(rating_terms.time_zone, 'UTC')") }} as date)
            as carrier_local_date
    from events
    left join rating_terms
        on
            events.carrier_id = rating_terms.carrier_id
            and events.service = rating_terms.service
            and events.direction = rating_terms.direction
            and events.started_at >= rating_terms.valid_from_at
            and events.started_at < rating_terms.valid_until_at
    left join codes_matched
        on events.event_id = codes_matched.event_id
    left join rate_decks
        on codes_matched.deck_row_id = rate_decks.deck_row_id
    left join code_lengths_counted
        on
            events.carrier_id = code_lengths_counted.carrier_id
            and events.service = code_lengths_counted.service
            and events.direction = code_lengths_counted.direction
    -- Calling codes are prefix-free: at most one of them begins a number.
    left join calling_codes
        on
            events.service in ('voice', 'sms')
            and calling_codes.calling_code in (
                substring(events.destination, 1, 1),
                substring(events.destination, 1, 2),
                substring(events.destination, 1, 3)
            )

),

codes_not_yet_effective as (

    select distinct beginnings.event_id
    from beginnings
    inner join rate_decks
        on
            beginnings.carrier_id = rate_decks.carrier_id
            and beginnings.service = rate_decks.service
            and beginnings.direction = rate_decks.direction
            and beginnings.dial_code = rate_decks.dial_code
            and beginnings.started_at < rate_decks.applies_from_at

),

statuses_given as (

    select
        events_with_terms.*,
        case
            when carriers.party_id is null then 'unknown_carrier'
            when events_with_terms.agreement_id is null and refused_agreements.party_id is not null
                then 'agreement_refused'
            when events_with_terms.agreement_id is null then 'no_agreement'
            when not events_with_terms.is_charged then null
            when events_with_terms.code_length_count is null then 'no_rate_deck'
            when
                events_with_terms.deck_row_id is null and codes_not_yet_effective.event_id is not null
                then 'rate_not_yet_effective'
            when events_with_terms.deck_row_id is null then 'no_rate'
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
        on events_with_terms.carrier_id = carriers.party_id
    left join refused_agreements
        on events_with_terms.carrier_id = refused_agreements.party_id
    left join codes_not_yet_effective
        on events_with_terms.event_id = codes_not_yet_effective.event_id

)

select
    *,
    coalesce(is_charged and unrated_reason is null and rounded_quantity > 0, false) as is_used
from statuses_given
