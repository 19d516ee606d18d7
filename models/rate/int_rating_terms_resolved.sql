-- One row per carrier agreement, service and direction that may be applied: its increments, rounding and
-- clock, with its validity as instants. Refused terms are not here, so their events stay unrated with a
-- reason.
with

agreements as (

    select * from {{ ref('int_agreements_resolved') }}
    where party_role = 'carrier'

),

carriers as (

    select party_id
    from {{ ref('stg_terms__parties') }}
    where is_carrier and refusal_reason is null

),

rating_terms as (

    select * from {{ ref('stg_terms__rating_terms') }}
    where refusal_reason is null

),

rating_terms_resolved as (

    select
        agreements.agreement_id,
        agreements.party_id as carrier_id,
        rating_terms.service,
        rating_terms.direction,
        rating_terms.quantity_unit,
        rating_terms.increment_method,
        rating_terms.charged_on,
        rating_terms.quantity_rounding,
        rating_terms.increment_rounding_mode,
        rating_terms.attempt_fee_scope,
        agreements.currency as agreement_currency,
        agreements.time_zone,
        agreements.rounding_mode,
        agreements.event_rounding_decimals,
        agreements.line_rounding_decimals,
        rating_terms.increment_rounding_decimals,
        agreements.tax_ratio,
        rating_terms.minimum_quantity,
        rating_terms.increment_quantity,
        rating_terms.free_quantity,
        rating_terms.attempt_fee_amount,
        agreements.valid_from_at,
        agreements.valid_until_at
    from agreements
    inner join carriers
        on agreements.party_id = carriers.party_id
    inner join rating_terms
        on agreements.agreement_id = rating_terms.agreement_id

)

select * from rating_terms_resolved
