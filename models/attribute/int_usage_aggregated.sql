-- depends_on: {{ ref("int_days_affected") }}
-- One row per usage group: the events of one day, carrier, destination, partner, plan, rate and outcome,
-- with their sums. Everything after this point works on groups; no amount is rounded here. A run makes the
-- groups of the days of int_days_affected again and keeps the others.
with

events as (

    select * from {{ ref('int_events_attributed') }}
    {% if is_incremental() %} where {{ started_on_days_of(ref('int_days_affected')) }} {% endif %}

),

groups_summed as (

    select
        service,
        direction,
        carrier_id,
        agreement_id,
        destination_id,
        destination_name,
        country_code,
        partner_id,
        partner_agreement_id,
        plan_id,
        quantity_unit,
        rating_status,
        unrated_reason,
        charge_status,
        uncharged_reason,
        rated_cost_currency,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        is_rounded_per_event,
        cast(started_at as date) as usage_date,
        carrier_local_date,
        partner_local_date,
        count(*) as event_count,
        cast(sum(quantity) as decimal(18, 6)) as quantity,
        cast(coalesce(sum(billed_quantity), 0) as decimal(18, 3)) as billed_quantity,
        cast(sum(charged_quantity) as decimal(18, 6)) as charged_quantity,
        cast(coalesce(sum(undivided_cost_amount), 0) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(coalesce(sum(rated_cost_amount), 0) as {{ exact_amount() }}) as rated_cost_amount
    from events
    group by
        service,
        direction,
        carrier_id,
        agreement_id,
        destination_id,
        destination_name,
        country_code,
        partner_id,
        partner_agreement_id,
        plan_id,
        quantity_unit,
        rating_status,
        unrated_reason,
        charge_status,
        uncharged_reason,
        rated_cost_currency,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        is_rounded_per_event,
        cast(started_at as date),
        carrier_local_date,
        partner_local_date

),

usage_aggregated as (

    select
        md5(
            service || '|' || direction || '|' || carrier_id
            || '|' || coalesce(agreement_id, '') || '|' || coalesce(destination_id, '')
            || '|' || coalesce(destination_name, '') || '|' || coalesce(country_code, '')
            || '|' || coalesce(partner_id, '') || '|' || coalesce(partner_agreement_id, '')
            || '|' || coalesce(plan_id, '') || '|' || quantity_unit
            || '|' || rating_status || '|' || coalesce(unrated_reason, '')
            || '|' || charge_status || '|' || coalesce(uncharged_reason, '')
            || '|' || coalesce(rated_cost_currency, '') || '|' || coalesce(cast(rate_amount as string), '')
            || '|' || coalesce(cast(rate_per_quantity as string), '')
            || '|' || coalesce(cast(connect_fee_amount as string), '')
            || '|' || cast(is_rounded_per_event as string) || '|' || cast(usage_date as string)
            || '|' || cast(carrier_local_date as string) || '|' || cast(partner_local_date as string)
        ) as usage_group_id,
        *
    from groups_summed

)

select * from usage_aggregated
