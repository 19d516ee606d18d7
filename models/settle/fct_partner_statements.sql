with fct_partner_statements as (

    select
        statement_id,
        partner_id,
        billing_period_id,
        cast(event_count as bigint) as event_count,
        cast(charge_amount as decimal(18, 6)) as charge_amount,
        cast(tax_amount as decimal(18, 6)) as tax_amount,
        cast(revenue_share_amount as decimal(18, 6)) as revenue_share_amount,
        cast(receivable_amount as decimal(18, 6)) as receivable_amount,
        cast(payable_amount as decimal(18, 6)) as payable_amount,
        statement_currency,
        period_start_date,
        due_date
    from {{ ref('int_statements_totalled') }}

)

select * from fct_partner_statements
