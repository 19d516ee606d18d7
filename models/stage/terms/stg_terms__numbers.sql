with

known_countries as (

    select country_code from {{ ref('countries') }}

),

numbers as (

    select
        case when trim(number) like '+%' then substring(trim(number), 2) else trim(number) end as number,
        trim(carrier_id) as carrier_id,
        lower(trim(number_type)) as number_type,
        upper(trim(country_code)) as country_code,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('numbers') }}

),

-- A short code is a number of its country; of all other numbers there is one in the world.
numbers_identified as (

    select
        *,
        case when length(number) <= 6 then coalesce(country_code, '') || ' ' || number else number end
            as number_id
    from numbers

),

neighbours_seen as (

    select
        *,
        {{ previous_until('number_id') }} as previous_until_date,
        {{ next_from('number_id') }} as next_from_date
    from numbers_identified

)

select
    number_id,
    number,
    carrier_id,
    number_type,
    country_code,
    case
        when number is null or carrier_id is null then 'key_missing'
        when not {{ is_digits('number') }} or length(number) > 15 then 'number_unreadable'
        when country_code not in (select known_countries.country_code from known_countries)
            then 'country_unknown'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
