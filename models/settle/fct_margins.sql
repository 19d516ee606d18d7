with usage_groups as (

    select
        usage_group_id,
        service,
        direction,
        carrier_id,
        destination_id,
        partner_id,
        usage_date,
        event_count
    from {{ ref('int_usage_aggregated') }}
    where rating_status = 'rated' or charge_status = 'charged'

),

-- What a group earns, costs and gives away, each in its own currency.
money as (

    select
        usage_group_id,
        'revenue' as money_kind,
        revenue_currency as money_currency,
        revenue_amount as money_amount
    from {{ ref('int_revenue_allocated') }}
    union all
    select
        usage_group_id,
        'cost' as money_kind,
        corrected_cost_currency as money_currency,
        corrected_cost_amount as money_amount
    from {{ ref('int_costs_corrected') }}
    union all
    select
        usage_group_id,
        'share' as money_kind,
        share_currency as money_currency,
        share_amount as money_amount
    from {{ ref('int_share_costs_allocated') }}

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

-- Summed before it is converted, so that each amount of a row is rounded once.
money_summed as (

    select
        usage_groups.service,
        usage_groups.direction,
        usage_groups.carrier_id,
        usage_groups.destination_id,
        usage_groups.partner_id,
        usage_groups.usage_date,
        money.money_kind,
        money.money_currency,
        cast(sum(money.money_amount) as {{ exact_amount() }}) as money_amount
    from usage_groups
    inner join money
        on usage_groups.usage_group_id = money.usage_group_id
    group by
        usage_groups.service, usage_groups.direction, usage_groups.carrier_id, usage_groups.destination_id,
        usage_groups.partner_id, usage_groups.usage_date, money.money_kind, money.money_currency

),

money_converted as (

    select
        money_summed.*,
        {{ convert_money(
            'money_summed.money_amount', 'money_rates.units_per_base', 'reporting_rates.units_per_base', 6
        ) }} as reporting_amount
    from money_summed
    left join rates as money_rates
        on
            money_summed.money_currency = money_rates.currency
            and money_summed.usage_date >= money_rates.valid_from_date
            and money_summed.usage_date < money_rates.valid_until_date
    left join rates as reporting_rates
        on
            reporting_rates.currency = '{{ var("reporting_currency") }}'
            and money_summed.usage_date >= reporting_rates.valid_from_date
            and money_summed.usage_date < reporting_rates.valid_until_date

),

money_pivoted as (

    select
        service,
        direction,
        carrier_id,
        destination_id,
        partner_id,
        usage_date,
        sum(case when money_kind = 'revenue' then reporting_amount else 0 end) as revenue_amount,
        sum(case when money_kind = 'cost' then reporting_amount else 0 end) as corrected_cost_amount,
        sum(case when money_kind = 'share' then reporting_amount else 0 end) as share_amount,
        -- An amount without an exchange rate makes the margin unknown; it must not count as nothing.
        count_if(reporting_amount is null) as unconverted_count
    from money_converted
    group by service, direction, carrier_id, destination_id, partner_id, usage_date

),

events_summed as (

    select
        service,
        direction,
        carrier_id,
        destination_id,
        partner_id,
        usage_date,
        sum(event_count) as event_count
    from usage_groups
    group by service, direction, carrier_id, destination_id, partner_id, usage_date

),

fct_margins as (

    select
        md5(
            cast(events_summed.usage_date as string) || '|' || events_summed.service
            || '|' || events_summed.direction || '|' || events_summed.carrier_id
            || '|' || coalesce(events_summed.destination_id, '')
            || '|' || coalesce(events_summed.partner_id, '')
        ) as margin_id,
        events_summed.service,
        events_summed.direction,
        events_summed.carrier_id,
        events_summed.destination_id,
        events_summed.partner_id,
        cast(events_summed.event_count as bigint) as event_count,
        cast(coalesce(money_pivoted.revenue_amount, 0) as decimal(18, 6)) as revenue_amount,
        cast(coalesce(money_pivoted.corrected_cost_amount, 0) as decimal(18, 6)) as corrected_cost_amount,
        cast(coalesce(money_pivoted.share_amount, 0) as decimal(18, 6)) as share_amount,
        cast(
            case
                when coalesce(money_pivoted.unconverted_count, 0) = 0
                    then coalesce(
                        money_pivoted.revenue_amount
                        - money_pivoted.corrected_cost_amount - money_pivoted.share_amount, 0
                    )
            end as decimal(18, 6)
        ) as margin_amount,
        '{{ var("reporting_currency") }}' as reporting_currency,
        coalesce(money_pivoted.unconverted_count, 0) > 0 as has_unconverted_money,
        events_summed.usage_date
    from events_summed
    left join money_pivoted
        on
            events_summed.service = money_pivoted.service
            and events_summed.direction = money_pivoted.direction
            and events_summed.carrier_id = money_pivoted.carrier_id
            and events_summed.destination_id is not distinct from money_pivoted.destination_id
            and events_summed.partner_id is not distinct from money_pivoted.partner_id
            and events_summed.usage_date = money_pivoted.usage_date

)

select * from fct_margins
