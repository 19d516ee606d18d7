-- One row per refund and per event that is refunded: who would be charged for it and how much, if it stood
-- for itself. Looked for among all events before these are charged: they are millions, refunds are few.
with

refunds as (

    select
        event_id,
        refunded_event_id
    from {{ ref('int_events_deduplicated') }}
    where refunded_event_id is not null

),

events as (

    select * from {{ ref('int_events_rated') }}
    where
        event_id in (
            select refunds.event_id from refunds
            union all
            select refunds.refunded_event_id from refunds
        )

),

{{ events_with_charges(
    'events', accounts=ref('stg_terms__accounts'), participation_rules=ref('stg_terms__participation_rules'),
    agreements=ref('int_agreements_resolved'), plans=ref('int_plans_placed')
) }},

refunds_attributed as (

    select
        charges_found.event_id,
        refunds.refunded_event_id,
        charges_found.service,
        charges_found.direction,
        charges_found.country_code,
        charges_found.carrier_id,
        charges_found.account_id,
        charges_found.partner_id,
        charges_found.partner_agreement_id,
        charges_found.charge_currency,
        charges_found.uncharged_reason is null and coalesce(charges_found.is_charged, false) as is_charged,
        charges_found.charged_amount,
        charges_found.partner_local_date,
        charges_found.started_at
    from charges_found
    left join refunds
        on charges_found.event_id = refunds.event_id

)

select * from refunds_attributed
