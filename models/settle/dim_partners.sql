with partners as (

    select * from {{ ref('stg_terms__parties') }}
    where is_partner and refusal_reason is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'partner' and refusal_reason is null
    qualify row_number() over (partition by party_id order by valid_from_date desc) = 1

),

dim_partners as (

    select
        partners.party_id as partner_id,
        partners.party_name as partner_name,
        partners.country_code,
        agreements.agreement_id as latest_agreement_id,
        agreements.currency as agreement_currency,
        agreements.time_zone,
        partners.is_carrier
    from partners
    left join agreements
        on partners.party_id = agreements.party_id

)

select * from dim_partners
