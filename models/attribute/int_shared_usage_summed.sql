-- One row per charge group, day and place whose charges are shared: what is counted and what it costs us, as
-- far as share rules ask for it. A place is what rules of participation look at, and no more than they do:
-- where none names a country, countries are not told apart. That of a refund is that of what it refunds.
with

share_rules as (

    select distinct
        seller_partner_id,
        service
    from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null

),

told_apart as (

    select
        count(direction) > 0 as by_direction,
        count(country_code) > 0 as by_country,
        count(carrier_id) > 0 as by_carrier
    from {{ ref('stg_terms__participation_rules') }}
    where refusal_reason is null

),

-- Days between which no rule of participation begins or ends are one to them.
rule_days as (

    select date '0001-01-01' as rule_date
    union
    select valid_from_date as rule_date
    from {{ ref('stg_terms__participation_rules') }}
    where refusal_reason is null
    union
    select valid_until_date as rule_date
    from {{ ref('stg_terms__participation_rules') }}
    where refusal_reason is null

),

rule_spans as (

    select
        rule_date as rules_since_date,
        lead(rule_date, 1, date '9999-12-31') over (order by rule_date) as rules_until_date
    from rule_days

),

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

sellers as (

    select
        charge_groups.*,
        coalesce(plans.currency, agreements.currency) as charge_currency
    from {{ ref('int_charges_grouped') }} as charge_groups
    inner join agreements
        on charge_groups.partner_agreement_id = agreements.agreement_id
    left join plans
        on charge_groups.plan_id = plans.plan_id
    where
        charge_groups.charge_status = 'charged'
        and charge_groups.partner_id in (select share_rules.seller_partner_id from share_rules)

),

ratings as (

    select
        ratings.rating_group_id,
        ratings.service,
        case when told_apart.by_direction then ratings.direction end as direction,
        case when told_apart.by_country then ratings.country_code end as country_code,
        case when told_apart.by_carrier then ratings.carrier_id end as carrier_id,
        ratings.rating_status != 'unrated' as is_rated,
        ratings.rated_cost_currency
    from {{ ref('int_ratings_grouped') }} as ratings
    cross join told_apart
    where ratings.service in (select share_rules.service from share_rules)

),

-- By numbers, since there may be millions of usage groups; named once they are few.
places_numbered as (

    select
        *,
        dense_rank() over (
            order by service, direction, country_code, carrier_id, is_rated, rated_cost_currency
        ) as place_number
    from ratings

),

places as (

    select
        place_number,
        min(service) as service,
        min(direction) as direction,
        min(country_code) as country_code,
        min(carrier_id) as carrier_id,
        min(rated_cost_currency) as rated_cost_currency,
        min(is_rated) as is_rated
    from places_numbered
    group by place_number

),

usage_placed as (

    select
        groups_summed.charge_group_id,
        places_numbered.place_number,
        groups_summed.partner_local_date,
        sum(groups_summed.charged_quantity) as charged_quantity,
        cast(0 as decimal(38, 6)) as credited_quantity,
        sum(groups_summed.rated_cost_amount) as rated_cost_amount,
        cast(0 as {{ wide_integer() }}) as priced_units
    from {{ ref('int_usage_summed') }} as groups_summed
    inner join sellers
        on groups_summed.charge_group_id = sellers.charge_group_id
    inner join places_numbered
        on groups_summed.rating_group_id = places_numbered.rating_group_id
    group by groups_summed.charge_group_id, places_numbered.place_number, groups_summed.partner_local_date
    union all
    -- What a plan prices one by one, or by its money: whole 10^-12.
    select
        records.charge_group_id,
        places_numbered.place_number,
        records.usage_date as partner_local_date,
        cast(0 as decimal(38, 6)) as charged_quantity,
        sum(case when records.charged_amount < 0 then records.charged_quantity else 0 end)
            as credited_quantity,
        cast(0 as {{ exact_amount() }}) as rated_cost_amount,
        sum(
            case
                when plans.pricing_model = 'graduated_percentage'
                    then {{ price_units('records.charged_amount') }} * 10000
                when records.record_price_units < 0
                    then -{{ integer_divide('(-records.record_price_units)', 10000) }}
                else {{ integer_divide('records.record_price_units', 10000) }}
            end
        ) as priced_units
    from {{ ref('int_records_priced') }} as records
    inner join sellers
        on records.charge_group_id = sellers.charge_group_id
    inner join places_numbered
        on records.rating_group_id = places_numbered.rating_group_id
    inner join plans
        on records.plan_id = plans.plan_id
    where plans.pricing_model in ('lines', 'percentage', 'graduated_percentage')
    group by records.charge_group_id, places_numbered.place_number, records.usage_date

),

usage_summed as (

    select
        charge_group_id,
        place_number,
        partner_local_date,
        cast(sum(charged_quantity) as decimal(38, 6)) as charged_quantity,
        cast(sum(credited_quantity) as decimal(38, 6)) as credited_quantity,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount,
        cast(sum(priced_units) as {{ wide_integer() }}) as priced_units
    from usage_placed
    group by charge_group_id, place_number, partner_local_date

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

-- A cost is known where the usage is rated and its currency can be converted on the day.
costs_converted as (

    select
        usage_summed.charge_group_id,
        usage_summed.place_number,
        places.service,
        case
            when sellers.refunded_date is null then places.direction
            when told_apart.by_direction then sellers.refunded_direction
        end as direction,
        case
            when sellers.refunded_date is null then places.country_code
            when told_apart.by_country then sellers.refunded_country_code
        end as country_code,
        case
            when sellers.refunded_date is null then places.carrier_id
            when told_apart.by_carrier then sellers.refunded_carrier_id
        end as carrier_id,
        sellers.partner_id,
        sellers.partner_agreement_id,
        sellers.plan_id,
        sellers.share_account_id,
        sellers.stated_participants,
        sellers.refunded_agreement_id,
        usage_summed.charged_quantity,
        usage_summed.credited_quantity,
        {{ from_units('usage_summed.priced_units') }} as priced_amount,
        case
            when not places.is_rated then null
            when
                usage_summed.rated_cost_amount = 0
                or places.rated_cost_currency = sellers.charge_currency
                then usage_summed.rated_cost_amount
            else {{ convert_money(
                'usage_summed.rated_cost_amount', 'cost_rates.units_per_base', 'charge_rates.units_per_base', 12
            ) }}
        end as cost_amount,
        sellers.refunded_date,
        rule_spans.rules_since_date,
        usage_summed.partner_local_date
    from usage_summed
    inner join places
        on usage_summed.place_number = places.place_number
    inner join sellers
        on usage_summed.charge_group_id = sellers.charge_group_id
    cross join told_apart
    inner join share_rules
        on
            sellers.partner_id = share_rules.seller_partner_id
            and places.service = share_rules.service
    inner join rule_spans
        on
            coalesce(sellers.refunded_date, usage_summed.partner_local_date) >= rule_spans.rules_since_date
            and coalesce(sellers.refunded_date, usage_summed.partner_local_date) < rule_spans.rules_until_date
    left join rates as cost_rates
        on
            places.rated_cost_currency = cost_rates.currency
            and usage_summed.partner_local_date >= cost_rates.valid_from_date
            and usage_summed.partner_local_date < cost_rates.valid_until_date
    left join rates as charge_rates
        on
            sellers.charge_currency = charge_rates.currency
            and usage_summed.partner_local_date >= charge_rates.valid_from_date
            and usage_summed.partner_local_date < charge_rates.valid_until_date

),

shared_usage_summed as (

    select
        *,
        {{ participation_context() }} as participation_context_id
    from costs_converted

)

select * from shared_usage_summed
