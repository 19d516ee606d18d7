-- One row per event with the partner whose account it ran on, the plan that charges it and the quantity
-- charged, or the reason why nobody is charged. What a partner pays does not depend on the carrier, so
-- unrated events are charged too. With all that is known of the event: whoever sums it up reads it in one
-- stream.
with

events as (

    select
        ratings.*,
        affected.event_id is not null as is_affected
    from {{ ref('int_events_rated') }} as ratings
    left join {{ ref('int_events_affected') }} as affected
        on ratings.event_id = affected.event_id

),

{{ events_with_charges(
    'events', accounts=ref('stg_terms__accounts'), participation_rules=ref('stg_terms__participation_rules'),
    agreements=ref('int_agreements_resolved'), plans=ref('int_plans_placed'),
    marks=ref('int_transactions_marked')
) }},

quantities_charged as (

    select
        event_id,
        service,
        direction,
        account_id,
        carrier_id,
        agreement_id,
        destination_id,
        destination_name,
        country_code,
        partner_id,
        partner_agreement_id,
        plan_id,
        quantity_unit,
        billed_unit,
        rating_status,
        unrated_reason,
        case
            when uncharged_reason is not null then 'uncharged'
            when is_charged then 'charged'
            else 'not_charged'
        end as charge_status,
        uncharged_reason,
        share_account_id,
        stated_participants,
        refunded_agreement_id,
        refunded_direction,
        refunded_country_code,
        refunded_carrier_id,
        refunded_date,
        quantity,
        billed_quantity,
        case
            when uncharged_reason is not null or not is_charged then cast(0 as decimal(18, 6))
            -- A message of several segments is one where the plan prices messages.
            when plan_unit = 'message' and kept_quantity > 0 then cast(1 as decimal(18, 6))
            when increment_quantity = 0 then kept_quantity
            else cast(
                {{ billed_quantity('kept_quantity', 'minimum_quantity', 'increment_quantity', "'residual'") }}
                as decimal(18, 6)
            )
        end as charged_quantity,
        case when uncharged_reason is null and is_charged then charged_amount end as charged_amount,
        counts_toward_commitment,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        undivided_cost_amount,
        rated_cost_amount,
        rated_cost_currency,
        is_rounded_per_event,
        is_affected,
        carrier_local_date,
        partner_local_date,
        started_at
    from charges_found

),

events_attributed as (

    select
        *,
        {{ rating_group_key() }} as rating_group_id,
        {{ charge_group_key() }} as charge_group_id
    from quantities_charged

)

select * from events_attributed
