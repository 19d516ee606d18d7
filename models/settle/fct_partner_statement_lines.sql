with fct_partner_statement_lines as (

    select
        statement_line_id,
        partner_id || ':' || {{ month_name_of('period_start_date') }} || ':' || charge_currency
            as statement_id,
        partner_id,
        billing_period_id,
        plan_id,
        line_key,
        service,
        direction,
        country_code,
        pricing_model,
        charge_type,
        quantity_unit,
        cast(tier_number as integer) as tier_number,
        cast(event_count as bigint) as event_count,
        cast(charged_quantity as decimal(18, 6)) as charged_quantity,
        cast(priced_per_quantity as integer) as priced_per_quantity,
        cast(unit_amount as decimal(18, 8)) as unit_amount,
        cast(flat_amount as decimal(18, 8)) as flat_amount,
        cast(charge_amount as {{ exact_amount() }}) as charge_amount,
        charge_currency,
        period_start_date
    from {{ ref('int_charges_priced') }}

)

select * from fct_partner_statement_lines
