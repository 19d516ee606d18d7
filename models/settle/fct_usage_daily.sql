-- depends_on: {{ ref('int_days_fingerprinted') }}
-- depends_on: {{ ref('int_usage_added') }}
-- A run shows anew only what int_days_fingerprinted asks for, and unrated usage, whose money at risk moves
-- with the cost of all that is like it.
with

-- Kinds of usage by numbers: millions of usage groups are summed by them, and named once they are few.
ratings_numbered as (

    select
        *,
        dense_rank() over (
            order by
                service, direction, carrier_id, destination_id, country_code, quantity_unit, unrated_reason,
                rated_cost_currency
        ) as rating_number
    from {{ ref('int_ratings_grouped') }}

),

ratings as (

    select
        rating_number,
        min(service) as service,
        min(direction) as direction,
        min(carrier_id) as carrier_id,
        min(destination_id) as destination_id,
        min(country_code) as country_code,
        min(quantity_unit) as quantity_unit,
        min(unrated_reason) as unrated_reason,
        min(rated_cost_currency) as rated_cost_currency
    from ratings_numbered
    group by rating_number

),

charges_numbered as (

    select
        *,
        dense_rank() over (order by partner_id, uncharged_reason) as charge_number
    from {{ ref('int_charges_grouped') }}

),

charges as (

    select
        charge_number,
        min(partner_id) as partner_id,
        min(uncharged_reason) as uncharged_reason
    from charges_numbered
    group by charge_number

),

{% if is_incremental() %}
    rows_added_to as (

        select
            added.usage_date,
            ratings_numbered.rating_number,
            charges_numbered.charge_number
        from {{ ref('int_usage_added') }} as added
        inner join {{ ref('int_days_fingerprinted') }} as days_to_report
            on added.usage_date = days_to_report.usage_date
        inner join ratings_numbered
            on added.rating_group_id = ratings_numbered.rating_group_id
        inner join charges_numbered
            on added.charge_group_id = charges_numbered.charge_group_id
        where days_to_report.change_to_report = 'rows'
        group by added.usage_date, ratings_numbered.rating_number, charges_numbered.charge_number

    ),
{% endif %}

groups_numbered as (

    select
        groups_summed.usage_date,
        ratings_numbered.rating_number,
        charges_numbered.charge_number,
        groups_summed.event_count,
        case when ratings_numbered.rating_status = 'rated' then groups_summed.event_count else 0 end
            as rated_event_count,
        case when ratings_numbered.rating_status = 'unrated' then groups_summed.event_count else 0 end
            as unrated_event_count,
        case when charges_numbered.charge_status = 'uncharged' then groups_summed.event_count else 0 end
            as uncharged_event_count,
        groups_summed.quantity,
        groups_summed.billed_quantity,
        groups_summed.rated_cost_amount,
        at_risk.at_risk_amount
    from {{ ref('int_usage_summed') }} as groups_summed
    inner join ratings_numbered
        on groups_summed.rating_group_id = ratings_numbered.rating_group_id
    inner join charges_numbered
        on groups_summed.charge_group_id = charges_numbered.charge_group_id
    left join {{ ref('int_unrated_usage_valued') }} as at_risk
        on
            groups_summed.rating_group_id = at_risk.rating_group_id
            and groups_summed.charge_group_id = at_risk.charge_group_id
            and groups_summed.usage_date = at_risk.usage_date
            and groups_summed.carrier_local_date = at_risk.carrier_local_date
            and groups_summed.partner_local_date = at_risk.partner_local_date
    {% if is_incremental() %}
        inner join {{ ref('int_days_fingerprinted') }} as days_to_report
            on groups_summed.usage_date = days_to_report.usage_date
        left join rows_added_to
            on
                groups_summed.usage_date = rows_added_to.usage_date
                and ratings_numbered.rating_number = rows_added_to.rating_number
                and charges_numbered.charge_number = rows_added_to.charge_number
        where
            days_to_report.change_to_report = 'day'
            or ratings_numbered.unrated_reason is not null
            or rows_added_to.usage_date is not null
    {% endif %}

),

numbers_summed as (

    select
        usage_date,
        rating_number,
        charge_number,
        sum(event_count) as event_count,
        sum(rated_event_count) as rated_event_count,
        sum(unrated_event_count) as unrated_event_count,
        sum(uncharged_event_count) as uncharged_event_count,
        sum(quantity) as quantity,
        sum(billed_quantity) as billed_quantity,
        sum(rated_cost_amount) as rated_cost_amount,
        sum(at_risk_amount) as at_risk_amount
    from groups_numbered
    group by usage_date, rating_number, charge_number

),

days_summed as (

    select
        numbers_summed.*,
        ratings.service,
        ratings.direction,
        ratings.carrier_id,
        ratings.destination_id,
        ratings.country_code,
        ratings.quantity_unit,
        ratings.unrated_reason,
        ratings.rated_cost_currency,
        charges.partner_id,
        charges.uncharged_reason
    from numbers_summed
    inner join ratings
        on numbers_summed.rating_number = ratings.rating_number
    inner join charges
        on numbers_summed.charge_number = charges.charge_number

),

fct_usage_daily as (

    select
        md5(concat_ws(
            '|', cast(usage_date as string), service, direction, carrier_id, coalesce(destination_id, ''),
            coalesce(country_code, ''), coalesce(partner_id, ''), quantity_unit, coalesce(unrated_reason, ''),
            coalesce(uncharged_reason, ''), coalesce(rated_cost_currency, '')
        )) as usage_daily_id,
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
        cast(event_count - rated_event_count - unrated_event_count as bigint) as not_charged_event_count,
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
