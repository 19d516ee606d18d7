-- One row per dial code that a full deck left out although nobody had closed it, with the shorter code that
-- prices its numbers from then on.
{% set for_ever = "timestamp '9999-12-31 00:00:00'" %}

with

deck_rows as (

    select * from {{ ref('int_deck_rows_timed') }}

),

codes as (

    select
        *,
        coalesce(
            lead(applies_from_at) over (
                partition by carrier_id, service, direction, dial_code order by applies_from_at
            ),
            {{ for_ever }}
        ) as next_from_at
    from {{ ref('int_rate_decks_resolved') }}

),

codes_closed as (

    select distinct
        carrier_id,
        service,
        direction,
        dial_code,
        applies_from_at
    from deck_rows
    where is_closed

),

files_of_full_decks as (

    select
        carrier_id,
        service,
        direction,
        applies_from_at,
        file_id,
        min(rate_row_id) as rate_row_id,
        max(received_at) as received_at,
        max(loaded_at) as loaded_at
    from deck_rows
    where deck_kind = 'full'
    group by carrier_id, service, direction, applies_from_at, file_id

),

-- Of a deck that was corrected for the same day the last file counts.
full_decks as (

    select *
    from files_of_full_decks
    qualify row_number() over (
        partition by carrier_id, service, direction, applies_from_at
        order by received_at desc, loaded_at desc, file_id desc
    ) = 1

),

codes_left_out as (

    select
        codes.deck_row_id,
        codes.carrier_id,
        codes.service,
        codes.direction,
        codes.dial_code,
        codes.dial_code_length,
        full_decks.rate_row_id as full_deck_row_id,
        codes.applies_until_at,
        codes.next_from_at
    from codes
    inner join full_decks
        on
            codes.carrier_id = full_decks.carrier_id
            and codes.service = full_decks.service
            and codes.direction = full_decks.direction
            and codes.applies_until_at = full_decks.applies_from_at
    left join codes_closed
        on
            codes.carrier_id = codes_closed.carrier_id
            and codes.service = codes_closed.service
            and codes.direction = codes_closed.direction
            and codes.dial_code = codes_closed.dial_code
            and codes.applies_until_at = codes_closed.applies_from_at
    where codes.applies_until_at < codes.next_from_at and codes_closed.carrier_id is null

),

code_lengths as (

    select distinct
        carrier_id,
        service,
        direction,
        dial_code_length
    from codes

),

-- Cut first and joined then: in one step with the join, every code would be held against every other one.
beginnings as (

    select
        codes_left_out.deck_row_id,
        codes_left_out.carrier_id,
        codes_left_out.service,
        codes_left_out.direction,
        substring(codes_left_out.dial_code, 1, code_lengths.dial_code_length) as beginning,
        codes_left_out.applies_until_at
    from codes_left_out
    inner join code_lengths
        on
            codes_left_out.carrier_id = code_lengths.carrier_id
            and codes_left_out.service = code_lengths.service
            and codes_left_out.direction = code_lengths.direction
            and codes_left_out.dial_code_length > code_lengths.dial_code_length

),

codes_in_their_place as (

    select
        beginnings.deck_row_id,
        max_by(codes.dial_code, codes.dial_code_length) as dial_code,
        max_by(codes.is_refused, codes.dial_code_length) as is_refused
    from beginnings
    inner join codes
        on
            beginnings.carrier_id = codes.carrier_id
            and beginnings.service = codes.service
            and beginnings.direction = codes.direction
            and beginnings.beginning = codes.dial_code
            and beginnings.applies_until_at >= codes.applies_from_at
            and beginnings.applies_until_at < codes.applies_until_at
    group by beginnings.deck_row_id

),

codes_dropped as (

    select
        codes_left_out.deck_row_id,
        codes_left_out.full_deck_row_id,
        codes_in_their_place.dial_code as shorter_dial_code,
        coalesce(not codes_in_their_place.is_refused, false) as has_price,
        codes_left_out.applies_until_at as dropped_at,
        codes_left_out.next_from_at as returned_at
    from codes_left_out
    left join codes_in_their_place
        on codes_left_out.deck_row_id = codes_in_their_place.deck_row_id

)

select * from codes_dropped
