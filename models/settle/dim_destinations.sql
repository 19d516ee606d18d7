with deck_rows as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

calling_codes as (

    select * from {{ ref('calling_codes') }}

),

destinations as (

    select
        destination_id,
        min(destination_name) as destination_name,
        max(dial_code) as any_dial_code,
        count(distinct case when mcc is null then dial_code end) as dial_code_count,
        count(distinct carrier_id) as carrier_count
    from deck_rows
    group by destination_id

),

dim_destinations as (

    select
        destinations.destination_id,
        destinations.destination_name,
        calling_codes.country_code,
        destinations.dial_code_count,
        destinations.carrier_count
    from destinations
    left join calling_codes
        on
            calling_codes.calling_code in (
                substring(destinations.any_dial_code, 1, 1),
                substring(destinations.any_dial_code, 1, 2),
                substring(destinations.any_dial_code, 1, 3),
                substring(destinations.any_dial_code, 1, 4)
            )
    qualify row_number() over (
        partition by destinations.destination_id order by length(calling_codes.calling_code) desc nulls last
    ) = 1

)

select * from dim_destinations
