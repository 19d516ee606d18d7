-- One row per unrated usage group with the money at risk: what events of the same service, direction and
-- country cost where they could be rated, else of the same service and direction. Without any such event the
-- value is unknown, not zero.
with

ratings as (

    select * from {{ ref('int_ratings_grouped') }}

),

-- Summed before it is converted: far fewer sums than groups.
sums_of_days as (

    select
        rating_group_id,
        usage_date,
        sum(quantity) as quantity,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from {{ ref('int_usage_summed') }}
    group by rating_group_id, usage_date

),

costs as (

    select
        ratings.service,
        ratings.direction,
        ratings.country_code,
        ratings.rated_cost_currency,
        sums_of_days.usage_date,
        cast(sum(sums_of_days.quantity) as decimal(18, 3)) as quantity,
        cast(sum(sums_of_days.rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from sums_of_days
    inner join ratings
        on sums_of_days.rating_group_id = ratings.rating_group_id
    where ratings.rating_status = 'rated'
    group by
        ratings.service, ratings.direction, ratings.country_code, ratings.rated_cost_currency,
        sums_of_days.usage_date

),

unrated_usage as (

    select
        groups_summed.rating_group_id,
        groups_summed.charge_group_id,
        ratings.service,
        ratings.direction,
        ratings.country_code,
        groups_summed.usage_date,
        groups_summed.carrier_local_date,
        groups_summed.partner_local_date,
        groups_summed.quantity
    from {{ ref('int_usage_summed') }} as groups_summed
    inner join ratings
        on groups_summed.rating_group_id = ratings.rating_group_id
    where ratings.rating_status = 'unrated'

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

costs_converted as (

    select
        costs.service,
        costs.direction,
        costs.country_code,
        costs.quantity,
        {{ convert_money(
            'costs.rated_cost_amount', 'cost_rates.units_per_base', 'reporting_rates.units_per_base', 12
        ) }} as reporting_cost_amount
    from costs
    inner join rates as cost_rates
        on
            costs.rated_cost_currency = cost_rates.currency
            and costs.usage_date >= cost_rates.valid_from_date
            and costs.usage_date < cost_rates.valid_until_date
    inner join rates as reporting_rates
        on
            reporting_rates.currency = '{{ var("reporting_currency") }}'
            and costs.usage_date >= reporting_rates.valid_from_date
            and costs.usage_date < reporting_rates.valid_until_date

),

country_costs as (

    select
        service,
        direction,
        country_code,
        cast(sum(quantity) as decimal(18, 3)) as quantity,
        cast(sum(reporting_cost_amount) as {{ exact_amount() }}) as cost_amount
    from costs_converted
    where country_code is not null
    group by service, direction, country_code

),

service_costs as (

    select
        service,
        direction,
        cast(sum(quantity) as decimal(18, 3)) as quantity,
        cast(sum(reporting_cost_amount) as {{ exact_amount() }}) as cost_amount
    from costs_converted
    group by service, direction

),

unrated_usage_valued as (

    select
        unrated_usage.rating_group_id,
        unrated_usage.charge_group_id,
        unrated_usage.usage_date,
        unrated_usage.carrier_local_date,
        unrated_usage.partner_local_date,
        '{{ var("reporting_currency") }}' as at_risk_currency,
        case
            when unrated_usage.quantity = 0 then cast(0 as {{ exact_amount() }})
            when country_costs.quantity > 0
                then {{ scale_money(
                    'country_costs.cost_amount', 'unrated_usage.quantity', 'country_costs.quantity', 6, "'half_up'", 3
                ) }}
            when service_costs.quantity > 0
                then {{ scale_money(
                    'service_costs.cost_amount', 'unrated_usage.quantity', 'service_costs.quantity', 6, "'half_up'", 3
                ) }}
        end as at_risk_amount
    from unrated_usage
    left join country_costs
        on
            unrated_usage.service = country_costs.service
            and unrated_usage.direction = country_costs.direction
            and unrated_usage.country_code = country_costs.country_code
    left join service_costs
        on
            unrated_usage.service = service_costs.service
            and unrated_usage.direction = service_costs.direction

)

select * from unrated_usage_valued
