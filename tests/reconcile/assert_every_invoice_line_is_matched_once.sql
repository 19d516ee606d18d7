-- Fails if a line of an invoice is lost or doubled on its way through matching, or its amount changes: we
-- would pay another sum than the carrier asks.
{{ config(meta={'dagster': {'ref': {'name': 'int_invoice_lines_matched', 'package': 'tollgate'}}}) }}
with

lines_summed as (

    select
        invoice_id,
        count(*) as line_count,
        sum(invoiced_amount) as invoiced_amount
    from {{ ref('int_invoice_lines_versioned') }}
    group by invoice_id

),

matched_summed as (

    select
        invoice_id,
        count(*) as line_count,
        sum(invoiced_amount) as invoiced_amount
    from {{ ref('int_invoice_lines_matched') }}
    where is_invoiced and line_type != 'rounding'
    group by invoice_id

)

select
    coalesce(lines_summed.invoice_id, matched_summed.invoice_id) as invoice_id,
    lines_summed.line_count,
    matched_summed.line_count as matched_line_count,
    lines_summed.invoiced_amount,
    matched_summed.invoiced_amount as matched_amount
from lines_summed
full outer join matched_summed
    on lines_summed.invoice_id = matched_summed.invoice_id
where
    lines_summed.line_count is distinct from matched_summed.line_count
    or lines_summed.invoiced_amount is distinct from matched_summed.invoiced_amount
