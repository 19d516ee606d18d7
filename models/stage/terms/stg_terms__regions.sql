with

regions as (

    select
        trim(region) as region,
        upper(trim(country_code)) as country_code,
        row_number() over (
            partition by trim(region), upper(trim(country_code)) order by region nulls last
        ) as copy_number
    from {{ ref('regions') }}

),

known_countries as (

    select country_code from {{ ref('countries') }}

)

select
    regions.region,
    regions.country_code,
    case
        when regions.region is null or regions.country_code is null then 'key_missing'
        when regions.country_code not in (select known_countries.country_code from known_countries)
            then 'country_unknown'
        -- The first copy counts.
        when regions.copy_number > 1 then 'region_repeated'
    end as refusal_reason
from regions
