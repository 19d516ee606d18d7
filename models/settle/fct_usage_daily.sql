with usage_groups as (

    select * from {{ ref('int_usage_aggregated') }}

),

at_risk as (

    select * from {{ ref('int_unrated_usage_valued') }}

),

days_summed as (

    select
        usage_groups.usage_date,
        usage_groups.service,
        usage_groups.direction,
        usage_groups.carrier_id,
        usage_groups.destination_id,
        usage_groups.country_code,
        usage_groups.partner_id,
        usage_groups.quantity_unit,
        usage_groups.unrated_reason,
        usage_groups.uncharged_reason,
        usage_groups.rated_cost_currency,
        sum(usage_groups.event_count) as event_count,
        sum(case when usage_groups.rating_status = 'rated' then usage_groups.event_count else 0 end)
            as rated_event_count,
        sum(case when usage_groups.rating_status = 'not_charged' then usage_groups.event_count else 0 end)
            as not_charged_event_count,
        sum(case when usage_groups.rating_status = 'unrated' then usage_groups.event_count else 0 end)
            as unrated_event_count,
        sum(case when usage_groups.charge_status = 'uncharged' then usage_groups.event_count else 0 end)
            as uncharged_event_count,
        sum(usage_groups.quantity) as quantity,
        sum(usage_groups.billed_quantity) as billed_quantity,
        sum(usage_groups.rated_cost_amount) as rated_cost_amount,
        sum(at_risk.at_risk_amount) as at_risk_amount
    from usage_groups
    left join at_risk
        on usage_groups.usage_group_id = at_risk.usage_group_id
    group by
        usage_groups.usage_date, usage_groups.service, usage_groups.direction, usage_groups.carrier_id,
        usage_groups.destination_id, usage_groups.country_code, usage_groups.partner_id,
        usage_groups.quantity_unit, usage_groups.unrated_reason, usage_groups.uncharged_reason,
        usage_groups.rated_cost_currency

),

fct_usage_daily as (

    select
        md5(
            cast(usage_date as string) || '|' || service || '|' || direction || '|' || carrier_id
            || '|' || coalesce(destination_id, '') || '|' || coalesce(country_code, '')
            || '|' || coalesce(partner_id, '') || '|' || quantity_unit
            || '|' || coalesce(unrated_reason, '') || '|' || coalesce(uncharged_reason, '')
            || '|' || coalesce(rated_cost_currency, '')
        ) as usage_daily_id,
        service,
        direction,
        carrier_id,
        destination_id,
        partner_id,
        country_code,
        unrated_reason,
        uncharged_reason,
        quantity_unit,
        cast(event_count as bigint) as event_count,
        cast(rated_event_count as bigint) as rated_event_count,
        cast(not_charged_event_count as bigint) as not_charged_event_count,
        cast(unrated_event_count as bigint) as unrated_event_count,
        cast(uncharged_event_count as bigint) as uncharged_event_count,
        cast(quantity as decimal(18, 3)) as quantity,
        cast(billed_quantity as decimal(18, 3)) as billed_quantity,
        cast(rated_cost_amount as decimal(18, 6)) as rated_cost_amount,
        rated_cost_currency,
        cast(at_risk_amount as decimal(18, 6)) as at_risk_amount,
        case when unrated_event_count > 0 then '{{ var("reporting_currency") }}' end as at_risk_currency,
        usage_date
    from days_summed

)

select * from fct_usage_daily
