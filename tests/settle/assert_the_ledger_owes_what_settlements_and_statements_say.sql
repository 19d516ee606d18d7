-- Fails if the balance of a party in the ledger, booked and proposed, is not what its settlements and
-- statements say, before payments and netting: the accounts would pay another sum than the statement names.
{{ config(meta={'dagster': {'ref': {'name': 'fct_settlement_ledger', 'package': 'tollgate'}}}) }}
with

balances as (

    select
        party_id,
        currency,
        origin_period_date as period_start_date,
        sum(case when account = 'carrier_payable' then credit_amount - debit_amount else 0 end)
            as carrier_payable_amount,
        sum(case when account = 'partner_receivable' then debit_amount - credit_amount else 0 end)
            as partner_receivable_amount,
        sum(case when account = 'partner_payable' then credit_amount - debit_amount else 0 end)
            as partner_payable_amount
    from {{ ref('fct_settlement_ledger') }}
    where
        entry_type not in ('carrier_payment', 'partner_receipt', 'partner_payout')
        and entry_type not in ('carrier_exchange', 'partner_exchange', 'share_exchange')
    group by party_id, currency, origin_period_date

),

amounts_right as (

    select
        carrier_id as party_id,
        settlement_currency as currency,
        period_start_date,
        invoiced_amount - credited_amount as carrier_payable_amount,
        0 as partner_receivable_amount,
        0 as partner_payable_amount
    from {{ ref('fct_carrier_settlements') }}
    union all
    select
        partner_id as party_id,
        statement_currency as currency,
        period_start_date,
        0 as carrier_payable_amount,
        charge_amount + tax_amount as partner_receivable_amount,
        revenue_share_amount as partner_payable_amount
    from {{ ref('fct_partner_statements') }}

),

amounts_right_summed as (

    select
        party_id,
        currency,
        period_start_date,
        sum(carrier_payable_amount) as carrier_payable_amount,
        sum(partner_receivable_amount) as partner_receivable_amount,
        sum(partner_payable_amount) as partner_payable_amount
    from amounts_right
    group by party_id, currency, period_start_date

)

select
    coalesce(balances.party_id, amounts_right_summed.party_id) as party_id,
    coalesce(balances.currency, amounts_right_summed.currency) as currency,
    coalesce(balances.period_start_date, amounts_right_summed.period_start_date) as period_start_date,
    balances.carrier_payable_amount,
    amounts_right_summed.carrier_payable_amount as right_carrier_payable_amount,
    balances.partner_receivable_amount,
    amounts_right_summed.partner_receivable_amount as right_partner_receivable_amount
from balances
full outer join amounts_right_summed
    on
        balances.party_id = amounts_right_summed.party_id
        and balances.currency = amounts_right_summed.currency
        and balances.period_start_date = amounts_right_summed.period_start_date
where
    coalesce(balances.carrier_payable_amount, 0) != coalesce(amounts_right_summed.carrier_payable_amount, 0)
    or coalesce(balances.partner_receivable_amount, 0)
    != coalesce(amounts_right_summed.partner_receivable_amount, 0)
    or coalesce(balances.partner_payable_amount, 0)
    != coalesce(amounts_right_summed.partner_payable_amount, 0)
