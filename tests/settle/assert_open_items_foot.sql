-- Fails if what is open with a party is not what settlements and statements say less what was paid: a bill
-- would be paid twice, or never.
{{ config(meta={'dagster': {'ref': {'name': 'fct_open_items', 'package': 'tollgate'}}}) }}
with

owed as (

    select
        carrier_id as party_id,
        settlement_currency as currency,
        payable_amount - receivable_amount as owed_amount
    from {{ ref('fct_carrier_settlements') }}
    union all
    select
        partner_id as party_id,
        statement_currency as currency,
        payable_amount - receivable_amount as owed_amount
    from {{ ref('fct_partner_statements') }}
    union all
    -- What is netted in another currency is open in that one.
    select
        party_id,
        document_currency as currency,
        receivable_amount - payable_amount as owed_amount
    from {{ ref('fct_netting_lines') }}
    where document_currency != netting_currency
    union all
    select
        party_id,
        netting_currency as currency,
        netted_payable_amount - netted_receivable_amount as owed_amount
    from {{ ref('fct_netting_lines') }}
    where document_currency != netting_currency
    union all
    select
        party_id,
        payment_currency as currency,
        case when direction = 'paid' then -paid_amount else paid_amount end as owed_amount
    from {{ ref('int_payments_collected') }}
    where refusal_reason is null

),

owed_summed as (

    select
        party_id,
        currency,
        sum(owed_amount) as owed_amount
    from owed
    group by party_id, currency

),

open_summed as (

    select
        party_id,
        item_currency as currency,
        sum(payable_amount - receivable_amount) as open_amount
    from {{ ref('fct_open_items') }}
    group by party_id, item_currency

)

select
    coalesce(owed_summed.party_id, open_summed.party_id) as party_id,
    coalesce(owed_summed.currency, open_summed.currency) as currency,
    owed_summed.owed_amount,
    open_summed.open_amount
from owed_summed
full outer join open_summed
    on
        owed_summed.party_id = open_summed.party_id
        and owed_summed.currency = open_summed.currency
where coalesce(owed_summed.owed_amount, 0) != coalesce(open_summed.open_amount, 0)
