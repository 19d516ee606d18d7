{% set reporting_currency = "'" ~ var('reporting_currency') ~ "'" %}

with

-- Places and partners by numbers: millions of usage groups are summed by them, and named once they are few.
places_numbered as (

    select
        rating_group_id,
        service,
        direction,
        carrier_id,
        destination_id,
        dense_rank() over (order by service, direction, carrier_id, destination_id) as place_number
    from {{ ref('int_ratings_grouped') }}

),

places as (

    select
        place_number,
        min(service) as service,
        min(direction) as direction,
        min(carrier_id) as carrier_id,
        min(destination_id) as destination_id
    from places_numbered
    group by place_number

),

partners_numbered as (

    select
        charge_group_id,
        partner_id,
        dense_rank() over (order by partner_id) as partner_number
    from {{ ref('int_charges_grouped') }}

),

partners as (

    select
        partner_number,
        min(partner_id) as partner_id
    from partners_numbered
    group by partner_number

),

money_summed as (

    select
        places_numbered.place_number,
        partners_numbered.partner_number,
        usage_valued.usage_date,
        sum(usage_valued.event_count) as event_count,
        sum(
            case
                when usage_valued.revenue_currency = {{ reporting_currency }} then usage_valued.revenue_amount
            end
        ) as revenue_amount,
        sum(
            case
                when usage_valued.corrected_cost_currency = {{ reporting_currency }}
                    then usage_valued.corrected_cost_amount
            end
        ) as corrected_cost_amount,
        sum(
            case
                when usage_valued.revenue_currency = {{ reporting_currency }} then usage_valued.share_amount
            end
        ) as share_amount,
        sum(
            case
                when usage_valued.corrected_cost_currency = {{ reporting_currency }}
                    then usage_valued.open_dispute_amount
            end
        ) as open_dispute_amount
    from {{ ref('int_usage_valued') }} as usage_valued
    inner join places_numbered
        on usage_valued.rating_group_id = places_numbered.rating_group_id
    inner join partners_numbered
        on usage_valued.charge_group_id = partners_numbered.charge_group_id
    group by places_numbered.place_number, partners_numbered.partner_number, usage_valued.usage_date

),

-- Money in other currencies.
foreign_money as (

    select
        rating_group_id,
        charge_group_id,
        usage_date,
        'revenue' as money_kind,
        revenue_currency as money_currency,
        revenue_amount as money_amount
    from {{ ref('int_usage_valued') }}
    where revenue_currency != {{ reporting_currency }}
    union all
    select
        rating_group_id,
        charge_group_id,
        usage_date,
        'cost' as money_kind,
        corrected_cost_currency as money_currency,
        corrected_cost_amount as money_amount
    from {{ ref('int_usage_valued') }}
    where corrected_cost_currency != {{ reporting_currency }}
    union all
    select
        rating_group_id,
        charge_group_id,
        usage_date,
        'dispute' as money_kind,
        corrected_cost_currency as money_currency,
        open_dispute_amount as money_amount
    from {{ ref('int_usage_valued') }}
    where corrected_cost_currency != {{ reporting_currency }} and open_dispute_amount is not null
    union all
    select
        rating_group_id,
        charge_group_id,
        usage_date,
        'share' as money_kind,
        revenue_currency as money_currency,
        share_amount as money_amount
    from {{ ref('int_usage_valued') }}
    where revenue_currency != {{ reporting_currency }} and share_amount is not null

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

-- Summed before it is converted, so that each amount of a row is rounded once.
foreign_money_summed as (

    select
        places_numbered.place_number,
        partners_numbered.partner_number,
        foreign_money.usage_date,
        foreign_money.money_kind,
        foreign_money.money_currency,
        cast(sum(foreign_money.money_amount) as {{ exact_amount() }}) as money_amount
    from foreign_money
    inner join places_numbered
        on foreign_money.rating_group_id = places_numbered.rating_group_id
    inner join partners_numbered
        on foreign_money.charge_group_id = partners_numbered.charge_group_id
    group by
        places_numbered.place_number, partners_numbered.partner_number, foreign_money.usage_date,
        foreign_money.money_kind, foreign_money.money_currency

),

foreign_money_converted as (

    select
        foreign_money_summed.*,
        {{ convert_money(
            'foreign_money_summed.money_amount', 'money_rates.units_per_base', 'reporting_rates.units_per_base', 6
        ) }} as reporting_amount
    from foreign_money_summed
    left join rates as money_rates
        on
            foreign_money_summed.money_currency = money_rates.currency
            and foreign_money_summed.usage_date >= money_rates.valid_from_date
            and foreign_money_summed.usage_date < money_rates.valid_until_date
    left join rates as reporting_rates
        on
            reporting_rates.currency = {{ reporting_currency }}
            and foreign_money_summed.usage_date >= reporting_rates.valid_from_date
            and foreign_money_summed.usage_date < reporting_rates.valid_until_date

),

foreign_money_pivoted as (

    select
        place_number,
        partner_number,
        usage_date,
        sum(case when money_kind = 'revenue' then reporting_amount else 0 end) as revenue_amount,
        sum(case when money_kind = 'cost' then reporting_amount else 0 end) as corrected_cost_amount,
        sum(case when money_kind = 'share' then reporting_amount else 0 end) as share_amount,
        sum(case when money_kind = 'dispute' then reporting_amount else 0 end) as open_dispute_amount,
        -- An amount without an exchange rate makes the margin unknown; it must not count as nothing.
        count_if(reporting_amount is null) as unconverted_count
    from foreign_money_converted
    group by place_number, partner_number, usage_date

),

money_added as (

    select
        money_summed.place_number,
        money_summed.partner_number,
        money_summed.usage_date,
        money_summed.event_count,
        cast(coalesce(money_summed.revenue_amount, 0) as decimal(18, 6))
        + cast(coalesce(foreign_money_pivoted.revenue_amount, 0) as decimal(18, 6)) as revenue_amount,
        cast(
            coalesce({{ round_money('money_summed.corrected_cost_amount', 6, "'half_up'") }}, 0)
            as decimal(18, 6)
        )
        + cast(coalesce(foreign_money_pivoted.corrected_cost_amount, 0) as decimal(18, 6))
            as corrected_cost_amount,
        cast(coalesce(money_summed.share_amount, 0) as decimal(18, 6))
        + cast(coalesce(foreign_money_pivoted.share_amount, 0) as decimal(18, 6)) as share_amount,
        cast(coalesce(money_summed.open_dispute_amount, 0) as decimal(18, 6))
        + cast(coalesce(foreign_money_pivoted.open_dispute_amount, 0) as decimal(18, 6))
            as open_dispute_amount,
        coalesce(foreign_money_pivoted.unconverted_count, 0) > 0 as has_unconverted_money
    from money_summed
    left join foreign_money_pivoted
        on
            money_summed.place_number = foreign_money_pivoted.place_number
            and money_summed.partner_number = foreign_money_pivoted.partner_number
            and money_summed.usage_date = foreign_money_pivoted.usage_date

),

fct_margins as (

    select
        md5(concat_ws(
            '|', cast(money_added.usage_date as string), places.service, places.direction, places.carrier_id,
            coalesce(places.destination_id, ''), coalesce(partners.partner_id, '')
        )) as margin_id,
        places.service,
        places.direction,
        places.carrier_id,
        places.destination_id,
        partners.partner_id,
        cast(money_added.event_count as bigint) as event_count,
        cast(money_added.revenue_amount as decimal(18, 6)) as revenue_amount,
        cast(money_added.corrected_cost_amount as decimal(18, 6)) as corrected_cost_amount,
        cast(money_added.share_amount as decimal(18, 6)) as share_amount,
        cast(
            case
                when not money_added.has_unconverted_money
                    then
                        money_added.revenue_amount
                        - money_added.corrected_cost_amount - money_added.share_amount
            end as decimal(18, 6)
        ) as margin_amount,
        cast(money_added.open_dispute_amount as decimal(18, 6)) as open_dispute_amount,
        {{ reporting_currency }} as reporting_currency,
        money_added.has_unconverted_money,
        money_added.usage_date
    from money_added
    inner join places
        on money_added.place_number = places.place_number
    inner join partners
        on money_added.partner_number = partners.partner_number

)

select * from fct_margins
