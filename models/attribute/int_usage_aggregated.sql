-- One row per usage group with what its events have in common and with their sums. A view, for whoever asks
-- by words; what passes over all groups joins their keys as late as it can.
with

usage_aggregated as (

    select
        groups_summed.rating_group_id,
        groups_summed.charge_group_id,
        ratings.service,
        ratings.direction,
        ratings.carrier_id,
        ratings.agreement_id,
        ratings.destination_id,
        ratings.destination_name,
        ratings.country_code,
        charges.partner_id,
        charges.partner_agreement_id,
        charges.plan_id,
        ratings.quantity_unit,
        ratings.billed_unit,
        ratings.rating_status,
        ratings.unrated_reason,
        charges.charge_status,
        charges.uncharged_reason,
        ratings.rated_cost_currency,
        ratings.rate_amount,
        ratings.rate_per_quantity,
        ratings.connect_fee_amount,
        ratings.is_rounded_per_event,
        groups_summed.usage_date,
        groups_summed.carrier_local_date,
        groups_summed.partner_local_date,
        groups_summed.event_count,
        groups_summed.quantity,
        groups_summed.billed_quantity,
        groups_summed.charged_quantity,
        groups_summed.undivided_cost_amount,
        groups_summed.rated_cost_amount
    from {{ ref('int_usage_summed') }} as groups_summed
    inner join {{ ref('int_ratings_grouped') }} as ratings
        on groups_summed.rating_group_id = ratings.rating_group_id
    inner join {{ ref('int_charges_grouped') }} as charges
        on groups_summed.charge_group_id = charges.charge_group_id

)

select * from usage_aggregated
