-- One row per event that this run rates, with what decides its cost: the agreement, the code of the
-- carrier's own deck as it was in force and known at the start of the event, and the quantity that counts; or
-- the reason why one is missing. A view: whoever rates reads it in one stream, so that nothing of this width
-- is written.
with

rating_terms as (

    select
        *,
        {{ rate_units('attempt_fee_amount') }} as attempt_fee_units,
        {{ power_of_ten('12 - coalesce(event_rounding_decimals, 12)', 'bigint') }} as event_rounding_unit,
        {{ thousandths('minimum_quantity') }} as minimum_thousandths,
        {{ thousandths('increment_quantity') }} as increment_thousandths
    from {{ ref('int_rating_terms_resolved') }}

),

rate_decks as (

    select
        *,
        {{ rate_units('rate_amount') }} as rate_units,
        {{ rate_units('connect_fee_amount') }} as connect_fee_units,
        {{ rate_units('maximum_amount') }} as maximum_units,
        {{ thousandths('minimum_quantity') }} as minimum_thousandths,
        {{ thousandths('increment_quantity') }} as increment_thousandths
    from {{ ref('int_rate_decks_resolved') }}

),

carriers as (

    select * from {{ ref('int_carriers_resolved') }}

),

events_with_terms as (

    select
        events.event_id,
        events.service,
        events.direction,
        events.account_id,
        events.carrier_id,
        events.event_status,
        events.quantity_unit,
        events.deck_epoch_id,
        events.is_final_attempt,
        events.vendor_amount,
        events.vendor_currency,
        events.counts_toward_commitment,
        events.quantity,
        events.refunded_quantity,
        events.started_at,
        events.received_at,
        numbers.country_code,
        numbers.deck_row_number,
        numbers.has_code_to_come,
        numbers.has_code_of_other_origins,
        rating_terms.agreement_id,
        rating_terms.agreement_currency,
        rating_terms.time_zone,
        rating_terms.increment_method,
        rating_terms.increment_rounding_mode,
        rating_terms.increment_rounding_decimals,
        rating_terms.rounding_mode,
        rating_terms.event_rounding_decimals,
        rating_terms.event_rounding_unit,
        rating_terms.tax_ratio,
        rating_terms.free_quantity,
        rating_terms.attempt_fee_scope,
        rating_terms.attempt_fee_amount,
        rating_terms.attempt_fee_units,
        coalesce(rate_decks.minimum_quantity, rating_terms.minimum_quantity) as minimum_quantity,
        coalesce(rate_decks.increment_quantity, rating_terms.increment_quantity) as increment_quantity,
        coalesce(rate_decks.minimum_thousandths, rating_terms.minimum_thousandths) as minimum_thousandths,
        coalesce(rate_decks.increment_thousandths, rating_terms.increment_thousandths)
            as increment_thousandths,
        -- A message of several segments is one where the carrier prices messages.
        case
            when events.quantity_unit = 'segment' and rate_decks.rate_unit = 'message' and events.quantity > 0
                then 1000000
            else {{ whole_millionths(millionths('events.quantity'), 'rating_terms.quantity_rounding') }}
        end as rounded_millionths,
        rate_decks.deck_row_id,
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
        carriers.is_known as is_carrier_known,
        carriers.has_refused_agreement,
        {{ is_charged('events.event_status', 'rating_terms.charged_on') }} as is_charged,
        cast({{ to_local('events.started_at', "coalesce(rating_terms.time_zone, 'UTC')") }} as date)
            as carrier_local_date
    from {{ ref('int_events_selected') }} as events
    inner join {{ ref('int_numbers_matched') }} as numbers
        on
            events.deck_epoch_id = numbers.deck_epoch_id
            and events.number_beginning = numbers.number_beginning
            and events.beginning_digit_count = numbers.beginning_digit_count
            and events.network_number = numbers.network_number
            and events.origin_beginning = numbers.origin_beginning
    left join rate_decks
        on numbers.deck_row_number = rate_decks.deck_row_number
    left join rating_terms
        on
            events.carrier_id = rating_terms.carrier_id
            and events.service = rating_terms.service
            and events.direction = rating_terms.direction
            and events.started_at >= rating_terms.valid_from_at
            and events.started_at < rating_terms.valid_until_at
    left join carriers
        on events.carrier_id = carriers.carrier_id

),

statuses_given as (

    select
        *,
        case attempt_fee_scope
            when 'failed_attempt' then not is_charged
            when 'final_attempt' then is_final_attempt
            else true
        end as is_attempt_charged,
        case
            when not coalesce(is_carrier_known, false) then 'unknown_carrier'
            when agreement_id is null and has_refused_agreement then 'agreement_refused'
            when agreement_id is null then 'no_agreement'
            when not is_charged then null
            -- A switch that lost the end of a call, or its clock.
            when service in ('voice', 'video') and quantity > 86400 then 'duration_above_a_day'
            when started_at > received_at + interval 1 day then 'started_after_receipt'
            when deck_epoch_id = 0 then 'no_rate_deck'
            when deck_row_number is null and has_code_to_come then 'rate_not_yet_effective'
            when deck_row_number is null and has_code_of_other_origins then 'no_rate_for_that_origin'
            when deck_row_number is null then 'no_rate'
            when is_rate_refused then 'rate_refused'
            when rate_currency != agreement_currency then 'rate_currency_differs'
            when rate_unit != quantity_unit and not (rate_unit = 'message' and quantity_unit = 'segment')
                then 'quantity_unit_differs'
            -- Which increment would lie in which band, if all of them are counted at the end?
            when has_bands_or_steps and increment_method = 'whole_duration'
                then 'increment_method_without_bands'
        end as unrated_reason
    from events_with_terms

),

uses_told as (

    select
        *,
        coalesce(is_charged and unrated_reason is null and rounded_millionths > 0, false) as is_used
    from statuses_given

),

-- What is billed where a code has one price; where it has several, int_events_stepped tells.
events_matched as (

    select
        *,
        {{ from_millionths('rounded_millionths') }} as rounded_quantity,
        case
            when is_used and has_bands_or_steps then null
            when is_used
                then {{ billed_thousandths(
                    'rounded_millionths', 'minimum_thousandths', 'increment_thousandths', 'increment_method'
                ) }}
            when is_charged then 0
        end as billed_thousandths
    from uses_told

)

select
    *,
    {{ from_thousandths('billed_thousandths') }} as billed_quantity
from events_matched
