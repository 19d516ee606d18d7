-- Fails if a charge or a share is on no statement, or on two: a partner would not be asked for it, not be
-- paid it, or be asked twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_statements_totalled', 'package': 'tollgate'}}}) }}
with

money_owed as (

    select
        partner_id,
        period_start_date,
        charge_currency as statement_currency,
        charge_amount,
        0 as revenue_share_amount
    from {{ ref('int_charges_priced') }}
    union all
    select
        beneficiary_partner_id as partner_id,
        period_start_date,
        share_currency as statement_currency,
        0 as charge_amount,
        allocated_amount as revenue_share_amount
    from {{ ref('int_shares_allocated') }}

),

money_summed as (

    select
        partner_id,
        period_start_date,
        statement_currency,
        sum(charge_amount) as charge_amount,
        sum(revenue_share_amount) as revenue_share_amount
    from money_owed
    group by partner_id, period_start_date, statement_currency

)

select
    coalesce(money_summed.partner_id, statements.partner_id) as partner_id,
    money_summed.charge_amount,
    statements.charge_amount as stated_charge_amount,
    money_summed.revenue_share_amount,
    statements.revenue_share_amount as stated_share_amount
from money_summed
full outer join {{ ref('int_statements_totalled') }} as statements
    on
        money_summed.partner_id = statements.partner_id
        and money_summed.period_start_date = statements.period_start_date
        and money_summed.statement_currency = statements.statement_currency
where
    money_summed.charge_amount is distinct from statements.charge_amount
    or money_summed.revenue_share_amount is distinct from statements.revenue_share_amount
