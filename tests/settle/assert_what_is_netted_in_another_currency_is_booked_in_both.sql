-- Fails if the books exchange another amount than netting converts: a payment of the net would leave the
-- accounts open.
{{ config(meta={'dagster': {'ref': {'name': 'fct_netting_lines', 'package': 'tollgate'}}}) }}
with

balances as (

    select
        party_id,
        currency,
        origin_period_date as period_start_date,
        sum(debit_amount - credit_amount) as exchanged_amount
    from {{ ref('fct_settlement_ledger') }}
    where account = 'currency_exchange'
    group by party_id, currency, origin_period_date
    having sum(debit_amount - credit_amount) != 0

),

amounts_right as (

    select
        party_id,
        document_currency as currency,
        period_start_date,
        receivable_amount - payable_amount as exchanged_amount
    from {{ ref('fct_netting_lines') }}
    where document_currency != netting_currency
    union all
    select
        party_id,
        netting_currency as currency,
        period_start_date,
        netted_payable_amount - netted_receivable_amount as exchanged_amount
    from {{ ref('fct_netting_lines') }}
    where document_currency != netting_currency

),

amounts_right_summed as (

    select
        party_id,
        currency,
        period_start_date,
        sum(exchanged_amount) as exchanged_amount
    from amounts_right
    group by party_id, currency, period_start_date
    having sum(exchanged_amount) != 0

)

select
    coalesce(balances.party_id, amounts_right_summed.party_id) as party_id,
    coalesce(balances.currency, amounts_right_summed.currency) as currency,
    coalesce(balances.period_start_date, amounts_right_summed.period_start_date) as period_start_date,
    balances.exchanged_amount,
    amounts_right_summed.exchanged_amount as right_exchanged_amount
from balances
full outer join amounts_right_summed
    on
        balances.party_id = amounts_right_summed.party_id
        and balances.currency = amounts_right_summed.currency
        and balances.period_start_date = amounts_right_summed.period_start_date
where balances.exchanged_amount is distinct from amounts_right_summed.exchanged_amount
