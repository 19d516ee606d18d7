with carriers as (

    select * from {{ ref('stg_terms__parties') }}
    where is_carrier and refusal_reason is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is null
    qualify row_number() over (partition by party_id order by valid_from_date desc) = 1

),

dim_carriers as (

    select
        carriers.party_id as carrier_id,
        carriers.party_name as carrier_name,
        carriers.country_code,
        agreements.agreement_id as latest_agreement_id,
        agreements.currency as agreement_currency,
        agreements.time_zone,
        carriers.is_partner
    from carriers
    left join agreements
        on carriers.party_id = agreements.party_id

)

select * from dim_carriers
