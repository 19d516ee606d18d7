-- Fails if a statement is not its charges plus tax less shares, its lines do not add up to it, or a line
-- is on no statement: a partner would be asked for another sum than the lines explain.
{{ config(meta={'dagster': {'ref': {'name': 'fct_partner_statements', 'package': 'tollgate'}}}) }}
with

lines_summed as (

    select
        statement_id,
        sum(event_count) as event_count,
        sum(case when charge_type in ('tax', 'revenue_share') then 0 else charge_amount end)
            as charge_amount,
        sum(case when charge_type = 'tax' then charge_amount else 0 end) as tax_amount,
        sum(charge_amount) as owed_amount
    from {{ ref('fct_partner_statement_lines') }}
    group by statement_id

),

shares_summed as (

    select
        beneficiary_partner_id as partner_id,
        period_start_date,
        share_currency,
        sum(allocated_amount) as allocated_amount
    from {{ ref('fct_revenue_share_allocations') }}
    group by beneficiary_partner_id, period_start_date, share_currency

)

select
    coalesce(statements.statement_id, lines_summed.statement_id) as statement_id,
    statements.charge_amount,
    lines_summed.charge_amount as lines_amount,
    statements.revenue_share_amount,
    shares_summed.allocated_amount,
    statements.receivable_amount,
    statements.payable_amount
from {{ ref('fct_partner_statements') }} as statements
full outer join lines_summed
    on statements.statement_id = lines_summed.statement_id
left join shares_summed
    on
        statements.partner_id = shares_summed.partner_id
        and statements.period_start_date = shares_summed.period_start_date
        and statements.statement_currency = shares_summed.share_currency
where
    statements.statement_id is null
    or statements.charge_amount != coalesce(lines_summed.charge_amount, 0)
    or statements.tax_amount != coalesce(lines_summed.tax_amount, 0)
    or statements.receivable_amount - statements.payable_amount != coalesce(lines_summed.owed_amount, 0)
    or statements.event_count != coalesce(lines_summed.event_count, 0)
    or statements.revenue_share_amount != coalesce(shares_summed.allocated_amount, 0)
    or statements.receivable_amount - statements.payable_amount
    != statements.charge_amount + statements.tax_amount - statements.revenue_share_amount
    or least(statements.receivable_amount, statements.payable_amount) != 0
