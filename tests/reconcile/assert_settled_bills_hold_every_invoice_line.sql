-- Fails if the bill of a carrier, month and currency is not the sum of its lines, disputes and credits: we
-- would pay for a line twice, forget one, or lose a credit.
{{ config(meta={'dagster': {'ref': {'name': 'int_carrier_bills_settled', 'package': 'tollgate'}}}) }}
with

lines_summed as (

    select
        carrier_id,
        invoice_currency,
        sum(invoiced_amount) as invoiced_amount,
        sum(rated_amount) as rated_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by carrier_id, invoice_currency

),

disputes_summed as (

    select
        carrier_id,
        dispute_currency,
        sum(claimed_amount) as disputed_amount,
        sum(withheld_amount) as withheld_amount
    from {{ ref('int_disputes_followed') }}
    group by carrier_id, dispute_currency

),

bills_summed as (

    select
        carrier_id,
        settlement_currency,
        sum(invoiced_amount) as invoiced_amount,
        sum(rated_amount) as rated_amount,
        sum(disputed_amount) as disputed_amount,
        sum(withheld_amount) as withheld_amount
    from {{ ref('int_carrier_bills_settled') }}
    group by carrier_id, settlement_currency

)

select
    coalesce(lines_summed.carrier_id, bills_summed.carrier_id) as carrier_id,
    coalesce(lines_summed.invoice_currency, bills_summed.settlement_currency) as currency,
    lines_summed.invoiced_amount as lines_amount,
    bills_summed.invoiced_amount as bills_amount,
    disputes_summed.disputed_amount as disputes_amount,
    bills_summed.disputed_amount as bills_disputed_amount
from lines_summed
full outer join bills_summed
    on
        lines_summed.carrier_id = bills_summed.carrier_id
        and lines_summed.invoice_currency = bills_summed.settlement_currency
left join disputes_summed
    on
        lines_summed.carrier_id = disputes_summed.carrier_id
        and lines_summed.invoice_currency = disputes_summed.dispute_currency
where
    lines_summed.invoiced_amount is distinct from bills_summed.invoiced_amount
    or lines_summed.rated_amount is distinct from bills_summed.rated_amount
    or coalesce(disputes_summed.disputed_amount, 0) is distinct from bills_summed.disputed_amount
    or coalesce(disputes_summed.withheld_amount, 0) is distinct from bills_summed.withheld_amount
