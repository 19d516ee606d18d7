-- Fails if the proofs of a carrier's month do not add up to the usage that it invoiced in a currency, or
-- prove more than we rated: money would count as proven that nobody compared.
{{ config(meta={'dagster': {'ref': {'name': 'fct_carrier_proofs', 'package': 'tollgate'}}}) }}
with

lines_summed as (

    select
        carrier_id,
        billing_period_id,
        invoice_currency,
        sum(invoiced_amount) as invoiced_amount,
        sum(case when destination_source = 'unmapped' then invoiced_amount else 0 end) as unmapped_amount,
        sum(case when rated_amount > 0 then rated_amount else 0 end) as rated_amount
    from {{ ref('int_invoice_lines_matched') }}
    where line_type = 'usage' and is_invoiced
    group by carrier_id, billing_period_id, invoice_currency

),

proofs_summed as (

    select
        carrier_id,
        billing_period_id,
        invoice_currency,
        sum(invoiced_amount) as invoiced_amount,
        sum(proven_amount) as proven_amount,
        sum(unproven_amount) as unproven_amount,
        sum(unmapped_amount) as unmapped_amount
    from {{ ref('fct_carrier_proofs') }}
    group by carrier_id, billing_period_id, invoice_currency

)

select
    coalesce(lines_summed.billing_period_id, proofs_summed.billing_period_id) as billing_period_id,
    lines_summed.invoiced_amount,
    proofs_summed.proven_amount,
    proofs_summed.unproven_amount,
    proofs_summed.unmapped_amount
from lines_summed
full outer join proofs_summed
    on
        lines_summed.carrier_id = proofs_summed.carrier_id
        and lines_summed.billing_period_id = proofs_summed.billing_period_id
        and lines_summed.invoice_currency = proofs_summed.invoice_currency
where
    lines_summed.invoiced_amount is distinct from proofs_summed.invoiced_amount
    or lines_summed.unmapped_amount is distinct from proofs_summed.unmapped_amount
    or proofs_summed.proven_amount > lines_summed.rated_amount
    or proofs_summed.proven_amount + proofs_summed.unproven_amount + proofs_summed.unmapped_amount
    != proofs_summed.invoiced_amount
