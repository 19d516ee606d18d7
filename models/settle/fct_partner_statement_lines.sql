-- Charges carry what they are made of; tax and shares are one amount each.
{% set columns_of_charges = [
    'plan_id', 'line_key', 'service', 'direction', 'country_code', 'pricing_model', 'charge_type', 'quantity_unit', 'tier_number',
    'event_count', 'charged_quantity', 'priced_per_quantity', 'unit_amount', 'flat_amount'
] %}

with

statements as (

    select * from {{ ref('int_statements_totalled') }}

),

taxes as (

    select * from {{ ref('int_taxes_charged') }}
    where tax_amount != 0

),

-- What a rule gives a partner of a seller's service, over all transaction groups.
shares_summed as (

    select
        beneficiary_partner_id,
        seller_partner_id,
        rule_id,
        service,
        share_currency,
        cast(sum(allocated_amount) as {{ exact_amount() }}) as allocated_amount,
        period_start_date
    from {{ ref('int_shares_allocated') }}
    group by
        beneficiary_partner_id, seller_partner_id, rule_id, service, share_currency, period_start_date
    having sum(allocated_amount) != 0

),

lines as (

    select
        statement_line_id,
        partner_id || ':' || {{ month_name_of('period_start_date') }} || ':' || charge_currency
            as statement_id,
        partner_id,
        billing_period_id,
        {% for column in columns_of_charges %}
            {{ column }},
        {% endfor %}
        cast(null as decimal(9, 6)) as tax_ratio,
        cast(null as string) as seller_partner_id,
        cast(null as string) as rule_id,
        charge_amount,
        charge_currency,
        period_start_date
    from {{ ref('int_charges_priced') }}
    union all
    select
        billing_period_id || ':' || charge_currency || ':tax' as statement_line_id,
        partner_id || ':' || {{ month_name_of('period_start_date') }} || ':' || charge_currency
            as statement_id,
        partner_id,
        billing_period_id,
        {% for column in columns_of_charges %}
            {{ {'charge_type': "'tax'", 'event_count': '0'}.get(column, 'null') }} as {{ column }},
        {% endfor %}
        tax_ratio,
        null as seller_partner_id,
        null as rule_id,
        tax_amount as charge_amount,
        charge_currency,
        period_start_date
    from taxes
    union all
    select
        statements.statement_id || ':share:' || shares_summed.seller_partner_id
        || ':' || shares_summed.service || ':' || shares_summed.rule_id as statement_line_id,
        statements.statement_id,
        statements.partner_id,
        statements.billing_period_id,
        {% for column in columns_of_charges %}
            {{ {
                'charge_type': "'revenue_share'", 'event_count': '0', 'service': 'shares_summed.service'
            }.get(column, 'null') }} as {{ column }},
        {% endfor %}
        null as tax_ratio,
        shares_summed.seller_partner_id,
        shares_summed.rule_id,
        -shares_summed.allocated_amount as charge_amount,
        shares_summed.share_currency as charge_currency,
        shares_summed.period_start_date
    from shares_summed
    inner join statements
        on
            shares_summed.beneficiary_partner_id = statements.partner_id
            and shares_summed.period_start_date = statements.period_start_date
            and shares_summed.share_currency = statements.statement_currency

),

fct_partner_statement_lines as (

    select
        statement_line_id,
        statement_id,
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
        cast(tax_ratio as decimal(9, 6)) as tax_ratio,
        seller_partner_id,
        rule_id,
        cast(charge_amount as {{ exact_amount() }}) as charge_amount,
        charge_currency,
        period_start_date
    from lines

)

select * from fct_partner_statement_lines
