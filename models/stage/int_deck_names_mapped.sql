-- One row per deck row that names its destination and gives no code for it, and per code of the destination
-- in the terms; a single row without a code where the terms do not know the name. Names that the terms give
-- for this carrier beat those for all carriers. A deck with one such name only, which nobody maps, prices
-- every destination by it, and is not here.
with

deck_rows as (

    select
        carrier_id,
        service,
        direction,
        deck_version,
        lower(destination_name) as destination_name,
        file_id,
        record_number
    from {{ ref('stg_rate_decks__native') }}
    where dial_code = '' and mcc is null

),

destination_codes as (

    select
        carrier_id,
        lower(destination_name) as destination_name,
        dial_code
    from {{ ref('stg_terms__destination_codes') }}
    where refusal_reason is null

),

names_used as (

    select distinct
        carrier_id,
        destination_name
    from deck_rows

),

names_of_carriers as (

    select
        names_used.carrier_id,
        names_used.destination_name,
        max(case when destination_codes.carrier_id = '*' then 0 else 1 end) as is_own
    from names_used
    inner join destination_codes
        on
            names_used.destination_name = destination_codes.destination_name
            and destination_codes.carrier_id in (names_used.carrier_id, '*')
    group by names_used.carrier_id, names_used.destination_name

),

codes_of_names as (

    select
        names_of_carriers.carrier_id,
        names_of_carriers.destination_name,
        destination_codes.dial_code
    from names_of_carriers
    inner join destination_codes
        on
            names_of_carriers.destination_name = destination_codes.destination_name
            and destination_codes.carrier_id
            = case when names_of_carriers.is_own = 1 then names_of_carriers.carrier_id else '*' end

),

decks as (

    select
        carrier_id,
        service,
        direction,
        deck_version,
        file_id,
        count(distinct destination_name) as name_count
    from deck_rows
    group by carrier_id, service, direction, deck_version, file_id

),

deck_names_mapped as (

    select
        deck_rows.file_id,
        deck_rows.record_number,
        coalesce(codes_of_names.dial_code, 'unmapped') as code_key,
        codes_of_names.dial_code
    from deck_rows
    inner join decks
        on
            deck_rows.file_id = decks.file_id
            and deck_rows.carrier_id = decks.carrier_id
            and deck_rows.service = decks.service
            and deck_rows.direction = decks.direction
            and deck_rows.deck_version is not distinct from decks.deck_version
    left join codes_of_names
        on
            deck_rows.carrier_id = codes_of_names.carrier_id
            and deck_rows.destination_name = codes_of_names.destination_name
    where codes_of_names.dial_code is not null or decks.name_count > 1

)

select * from deck_names_mapped
