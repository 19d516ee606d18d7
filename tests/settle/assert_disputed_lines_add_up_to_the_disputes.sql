-- Fails if the disputed parts of the lines of an invoice do not add up to its disputes: the evidence would
-- prove another sum than we claim.
{{ config(meta={'dagster': {'ref': {'name': 'fct_disputes', 'package': 'tollgate'}}}) }}
with

lines_summed as (

    select
        carrier_id,
        invoice_number,
        sum(disputed_variance_amount) as disputed_variance_amount
    from {{ ref('fct_carrier_invoice_lines') }}
    group by carrier_id, invoice_number

),

disputes_summed as (

    select
        carrier_id,
        invoice_number,
        sum(dispute_amount) as dispute_amount
    from {{ ref('fct_disputes') }}
    group by carrier_id, invoice_number

)

select
    coalesce(lines_summed.carrier_id, disputes_summed.carrier_id) as carrier_id,
    coalesce(lines_summed.invoice_number, disputes_summed.invoice_number) as invoice_number,
    lines_summed.disputed_variance_amount,
    disputes_summed.dispute_amount
from lines_summed
full outer join disputes_summed
    on
        lines_summed.carrier_id = disputes_summed.carrier_id
        and lines_summed.invoice_number = disputes_summed.invoice_number
where coalesce(lines_summed.disputed_variance_amount, 0) != coalesce(disputes_summed.dispute_amount, 0)
