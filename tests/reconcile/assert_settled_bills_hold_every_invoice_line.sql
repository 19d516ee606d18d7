-- Fails if the bill of a carrier, month and currency is not the sum of its lines, disputes and credits, or
-- holds back another amount than its disputes may hold back less what has come back already: we would pay for
-- a line twice, forget one, or lose a credit.
{{ config(meta={'dagster': {'ref': {'name': 'int_carrier_bills_settled', 'package': 'tollgate'}}}) }}
with

lines_summed as (

    select
        billing_period_id,
        invoice_currency,
        sum(invoiced_amount) as invoiced_amount,
        sum(rated_amount) as rated_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by billing_period_id, invoice_currency

),

disputes_summed as (

    select
        billing_period_id,
        dispute_currency,
        sum(claimed_amount) as disputed_amount,
        sum(withheld_amount) as withheld_amount
    from {{ ref('int_disputes_followed') }}
    group by billing_period_id, dispute_currency

),

credits_summed as (

    select
        carrier_id,
        credit_currency,
        sum(part_amount) as credited_amount
    from {{ ref('int_credits_matched') }}
    where refusal_reason is null
    group by carrier_id, credit_currency

),

bills as (

    select * from {{ ref('int_carrier_bills_settled') }}

),

bills_credited as (

    select
        carrier_id,
        settlement_currency,
        sum(credited_amount) as credited_amount
    from bills
    group by carrier_id, settlement_currency

)

select
    coalesce(lines_summed.billing_period_id, bills.billing_period_id) as offender,
    coalesce(lines_summed.invoice_currency, bills.settlement_currency) as currency,
    lines_summed.invoiced_amount as right_amount,
    bills.invoiced_amount as wrong_amount
from lines_summed
full outer join bills
    on
        lines_summed.billing_period_id = bills.billing_period_id
        and lines_summed.invoice_currency = bills.settlement_currency
left join disputes_summed
    on
        lines_summed.billing_period_id = disputes_summed.billing_period_id
        and lines_summed.invoice_currency = disputes_summed.dispute_currency
where
    lines_summed.invoiced_amount is distinct from bills.invoiced_amount
    or lines_summed.rated_amount is distinct from bills.rated_amount
    or coalesce(disputes_summed.disputed_amount, 0) is distinct from bills.disputed_amount
    or bills.withheld_amount is distinct from case
        when bills.has_agreement
            then greatest(coalesce(disputes_summed.withheld_amount, 0) - bills.returned_otherwise_amount, 0)
        else greatest(bills.invoiced_amount - bills.credited_amount, 0)
    end

union all

select
    coalesce(credits_summed.carrier_id, bills_credited.carrier_id) as offender,
    coalesce(credits_summed.credit_currency, bills_credited.settlement_currency) as currency,
    credits_summed.credited_amount as right_amount,
    bills_credited.credited_amount as wrong_amount
from credits_summed
full outer join bills_credited
    on
        credits_summed.carrier_id = bills_credited.carrier_id
        and credits_summed.credit_currency = bills_credited.settlement_currency
where coalesce(credits_summed.credited_amount, 0) is distinct from coalesce(bills_credited.credited_amount, 0)
