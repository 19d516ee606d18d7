-- Fails if the published components of a line do not add up to its published variance: what leaves the house
-- would contradict itself.
{{ config(meta={'dagster': {'ref': {'name': 'fct_variance_components', 'package': 'tollgate'}}}) }}
with

components_summed as (

    select
        invoice_line_id,
        sum(component_variance_amount) as component_variance_amount
    from {{ ref('fct_variance_components') }}
    group by invoice_line_id

)

select
    published.invoice_line_id,
    published.variance_amount,
    components_summed.component_variance_amount
from {{ ref('fct_carrier_invoice_lines') }} as published
left join components_summed
    on published.invoice_line_id = components_summed.invoice_line_id
where
    published.variance_amount != coalesce(components_summed.component_variance_amount, 0)
    or published.variance_amount != published.invoiced_amount - published.rated_amount
