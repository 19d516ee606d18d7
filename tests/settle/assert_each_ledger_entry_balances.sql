-- Fails if an entry of the ledger is not one debit and one credit of the same positive amount: the books
-- would no longer balance.
{{ config(meta={'dagster': {'ref': {'name': 'fct_settlement_ledger', 'package': 'tollgate'}}}) }}
select
    entry_id,
    currency,
    sum(debit_amount) as debit_amount,
    sum(credit_amount) as credit_amount
from {{ ref('fct_settlement_ledger') }}
group by entry_id, currency
having
    count(*) != 2
    or count_if(debit_amount > 0 and credit_amount = 0) != 1
    or count_if(credit_amount > 0 and debit_amount = 0) != 1
    or count(distinct account) != 2
    or sum(debit_amount) != sum(credit_amount)
