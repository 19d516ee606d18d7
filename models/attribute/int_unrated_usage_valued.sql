-- One row per unrated usage group with the money at risk: what events of the same service, direction and
-- country cost where they could be rated, else of the same service and direction. Without any such event the
-- value is unknown, not zero.
with

usage_groups as (

    select
        usage_group_id,
        service,
        direction,
        country_code,
        rating_status,
        rated_cost_currency,
        usage_date,
        quantity,
        rated_cost_amount
    from {{ ref('int_usage_aggregated') }}

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

rated_groups as (

    select
        usage_groups.service,
        usage_groups.direction,
        usage_groups.country_code,
        usage_groups.quantity,
        {{ convert_money(
            'usage_groups.rated_cost_amount', 'cost_rates.units_per_base', 'reporting_rates.units_per_base', 12
        ) }} as reporting_cost_amount
    from usage_groups
    inner join rates as cost_rates
        on
            usage_groups.rated_cost_currency = cost_rates.currency
            and usage_groups.usage_date >= cost_rates.valid_from_date
            and usage_groups.usage_date < cost_rates.valid_until_date
    inner join rates as reporting_rates
        on
            reporting_rates.currency = '{{ var("reporting_currency") }}'
            and usage_groups.usage_date >= reporting_rates.valid_from_date
            and usage_groups.usage_date < reporting_rates.valid_until_date
    where usage_groups.rating_status = 'rated'

),

country_costs as (

    select
        service,
        direction,
        country_code,
        cast(sum(quantity) as decimal(18, 3)) as quantity,
        cast(sum(reporting_cost_amount) as {{ exact_amount() }}) as cost_amount
    from rated_groups
    where country_code is not null
    group by service, direction, country_code

),

service_costs as (

    select
        service,
        direction,
        cast(sum(quantity) as decimal(18, 3)) as quantity,
        cast(sum(reporting_cost_amount) as {{ exact_amount() }}) as cost_amount
    from rated_groups
    group by service, direction

),

unrated_usage_valued as (

    select
        usage_groups.usage_group_id,
        '{{ var("reporting_currency") }}' as at_risk_currency,
        case
            when usage_groups.quantity = 0 then cast(0 as {{ exact_amount() }})
            when country_costs.quantity > 0
                then {{ scale_money(
                    'country_costs.cost_amount', 'usage_groups.quantity', 'country_costs.quantity', 6, "'half_up'", 3
                ) }}
            when service_costs.quantity > 0
                then {{ scale_money(
                    'service_costs.cost_amount', 'usage_groups.quantity', 'service_costs.quantity', 6, "'half_up'", 3
                ) }}
        end as at_risk_amount
    from usage_groups
    left join country_costs
        on
            usage_groups.service = country_costs.service
            and usage_groups.direction = country_costs.direction
            and usage_groups.country_code = country_costs.country_code
    left join service_costs
        on
            usage_groups.service = service_costs.service
            and usage_groups.direction = service_costs.direction
    where usage_groups.rating_status = 'unrated'

)

select * from unrated_usage_valued
