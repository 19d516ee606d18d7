-- One row per carrier that the terms know, or that has an agreement which was refused.
with

carriers as (

    select distinct party_id as carrier_id
    from {{ ref('stg_terms__parties') }}
    where is_carrier

),

-- Agreements that exist but were refused: their events say so, instead of pretending that there is no
-- agreement.
refused_agreements as (

    select distinct party_id as carrier_id
    from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is not null

),

carriers_resolved as (

    select
        coalesce(carriers.carrier_id, refused_agreements.carrier_id) as carrier_id,
        carriers.carrier_id is not null as is_known,
        refused_agreements.carrier_id is not null as has_refused_agreement
    from carriers
    full outer join refused_agreements
        on carriers.carrier_id = refused_agreements.carrier_id

)

select * from carriers_resolved
