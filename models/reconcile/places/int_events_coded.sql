-- One row per event whose number begins with a dial code that a line of its carrier's invoices states, for
-- its service and direction and near its day: the longest such code. A shorter code than that of our deck
-- counts where the deck leads it to the same destination, or does not know it; else the carrier has left out
-- a code, or counts its numbers elsewhere. Other carriers' events are not read.
with

codes as (

    select
        carrier_id,
        service,
        direction,
        dial_code,
        length(dial_code) as dial_code_length,
        service_first_date,
        service_last_date
    from {{ ref('int_lines_placed') }}
    where dial_code is not null and covers_usage
    group by carrier_id, service, direction, dial_code, service_first_date, service_last_date

),

-- Other clocks and other days of closing reach some days beyond the line.
code_lengths as (

    select
        carrier_id,
        service,
        direction,
        dial_code_length,
        min({{ add_days('service_first_date', -4) }}) as first_date,
        max({{ add_days('service_last_date', 2) }}) as last_date
    from codes
    group by carrier_id, service, direction, dial_code_length

),

rate_decks as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

codes_of_decks as (

    select
        carrier_id,
        service,
        direction,
        dial_code
    from rate_decks
    where mcc is null and origin_code is null
    group by carrier_id, service, direction, dial_code

),

destinations_of_codes as (

    select
        carrier_id,
        service,
        direction,
        dial_code,
        destination_id
    from rate_decks
    where mcc is null and origin_code is null
    group by carrier_id, service, direction, dial_code, destination_id

),

numbers_begun as (

    select
        ratings.event_id,
        ratings.carrier_id,
        ratings.service,
        ratings.direction,
        ratings.destination_id,
        ratings.deck_row_id,
        ratings.carrier_local_date,
        code_lengths.dial_code_length,
        substring(events.destination, 1, code_lengths.dial_code_length) as number_beginning
    from {{ ref('int_events_rated') }} as ratings
    inner join code_lengths
        on
            ratings.carrier_id = code_lengths.carrier_id
            and ratings.service = code_lengths.service
            and ratings.direction = code_lengths.direction
            and ratings.carrier_local_date between code_lengths.first_date and code_lengths.last_date
    inner join {{ ref('int_events_deduplicated') }} as events
        on ratings.event_id = events.event_id

),

codes_found as (

    select
        numbers_begun.event_id,
        codes.dial_code,
        codes.dial_code_length,
        numbers_begun.carrier_local_date between codes.service_first_date and codes.service_last_date
            as is_on_its_days
    from numbers_begun
    inner join codes
        on
            numbers_begun.carrier_id = codes.carrier_id
            and numbers_begun.service = codes.service
            and numbers_begun.direction = codes.direction
            and numbers_begun.dial_code_length = codes.dial_code_length
            and numbers_begun.number_beginning = codes.dial_code
            and numbers_begun.carrier_local_date
            between {{ add_days('codes.service_first_date', -4) }}
            and {{ add_days('codes.service_last_date', 2) }}
    left join rate_decks
        on numbers_begun.deck_row_id = rate_decks.deck_row_id
    left join codes_of_decks
        on
            codes.carrier_id = codes_of_decks.carrier_id
            and codes.service = codes_of_decks.service
            and codes.direction = codes_of_decks.direction
            and codes.dial_code = codes_of_decks.dial_code
    left join destinations_of_codes
        on
            codes.carrier_id = destinations_of_codes.carrier_id
            and codes.service = destinations_of_codes.service
            and codes.direction = destinations_of_codes.direction
            and codes.dial_code = destinations_of_codes.dial_code
            and numbers_begun.destination_id = destinations_of_codes.destination_id
    where
        codes.dial_code_length >= coalesce(rate_decks.dial_code_length, 0)
        or codes_of_decks.dial_code is null
        or destinations_of_codes.dial_code is not null

),

-- A line that has the day goes before one that only comes near.
events_coded as (

    select
        event_id,
        dial_code
    from codes_found
    qualify row_number() over (
        partition by event_id
        order by case when is_on_its_days then 0 else 1 end asc, dial_code_length desc
    ) = 1

)

select * from events_coded
