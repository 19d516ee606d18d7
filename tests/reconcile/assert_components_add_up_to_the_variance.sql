-- Fails if the causes of a line do not add up to its variance: part of an overcharge would have no cause, so
-- nobody would dispute it.
{{ config(meta={'dagster': {'ref': {'name': 'int_variances_bridged', 'package': 'tollgate'}}}) }}
with

components_summed as (

    select
        invoice_line_id,
        sum(component_variance_amount) as component_variance_amount
    from {{ ref('int_variances_bridged') }}
    group by invoice_line_id

)

select
    coalesce(invoice_lines.invoice_line_id, components_summed.invoice_line_id) as invoice_line_id,
    invoice_lines.invoiced_amount - invoice_lines.rated_amount as variance_amount,
    components_summed.component_variance_amount
from {{ ref('int_invoice_lines_matched') }} as invoice_lines
full outer join components_summed
    on invoice_lines.invoice_line_id = components_summed.invoice_line_id
where
    invoice_lines.invoice_line_id is null
    or invoice_lines.rated_amount is null
    or invoice_lines.invoiced_amount - invoice_lines.rated_amount
    != coalesce(components_summed.component_variance_amount, 0)
