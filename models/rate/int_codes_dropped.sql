-- One row per code that a full deck left out although nobody had closed it, with the more general code, of
-- the same or of all callers, that prices its numbers from then on: a shorter one, or the country of a
-- network. What prices the numbers of a network otherwise cannot be said without them.
{% set for_ever = "timestamp '9999-12-31 00:00:00'" %}
{% set closeness -%}
    2 * {{ level_of_code('codes.mcc', 'codes.mnc', 'codes.dial_code_length') }}
            + case when codes.origin_code is null then 0 else 1 end
{%- endset %}

with

deck_rows as (

    select * from {{ ref('int_deck_rows_timed') }}

),

codes as (

    select
        *,
        coalesce(
            lead(applies_from_at) over (
                partition by carrier_id, service, direction, code_name order by applies_from_at
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
        code_name,
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
        codes.mcc,
        codes.mnc,
        codes.origin_code,
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
            and codes.code_name = codes_closed.code_name
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
codes_above as (

    select
        codes_left_out.deck_row_id,
        codes_left_out.carrier_id,
        codes_left_out.service,
        codes_left_out.direction,
        codes_left_out.origin_code,
        substring(codes_left_out.dial_code, 1, code_lengths.dial_code_length) as destination_code_name,
        codes_left_out.applies_until_at
    from codes_left_out
    inner join code_lengths
        on
            codes_left_out.carrier_id = code_lengths.carrier_id
            and codes_left_out.service = code_lengths.service
            and codes_left_out.direction = code_lengths.direction
            and codes_left_out.dial_code_length >= code_lengths.dial_code_length
    where codes_left_out.mcc is null
    {% for mnc in ['mnc', 'cast(null as string)'] %}
        union all
        select
            deck_row_id,
            carrier_id,
            service,
            direction,
            origin_code,
            {{ name_of_code('dial_code', 'mcc', mnc, 'cast(null as string)') }} as destination_code_name,
            applies_until_at
        from codes_left_out
        where mcc is not null
    {% endfor %}

),

names_above as (

    select
        deck_row_id,
        carrier_id,
        service,
        direction,
        destination_code_name as code_name,
        applies_until_at
    from codes_above
    union
    select
        deck_row_id,
        carrier_id,
        service,
        direction,
        {{ name_of_code(
            'destination_code_name', 'cast(null as string)', 'cast(null as string)', 'origin_code'
        ) }} as code_name,
        applies_until_at
    from codes_above
    where origin_code is not null

),

-- The code itself has no price at that time, so it is not found here.
codes_in_their_place as (

    select
        names_above.deck_row_id,
        max_by(codes.code_name, {{ closeness }}) as code_name,
        max_by(codes.is_refused, {{ closeness }}) as is_refused
    from names_above
    inner join codes
        on
            names_above.carrier_id = codes.carrier_id
            and names_above.service = codes.service
            and names_above.direction = codes.direction
            and names_above.code_name = codes.code_name
            and names_above.applies_until_at >= codes.applies_from_at
            and names_above.applies_until_at < codes.applies_until_at
    group by names_above.deck_row_id

),

codes_dropped as (

    select
        codes_left_out.deck_row_id,
        codes_left_out.full_deck_row_id,
        codes_in_their_place.code_name as more_general_code_name,
        coalesce(not codes_in_their_place.is_refused, codes_left_out.mcc is not null) as has_price,
        codes_left_out.applies_until_at as dropped_at,
        codes_left_out.next_from_at as returned_at
    from codes_left_out
    left join codes_in_their_place
        on codes_left_out.deck_row_id = codes_in_their_place.deck_row_id

)

select * from codes_dropped
