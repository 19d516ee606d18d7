-- Fails if the calls of an invoice line prove more money than all its events cost, or if proofs are lost on
-- the way to the lines: a part of the invoice would count as proven that is not.
{{ config(meta={'dagster': {'ref': {'name': 'int_call_proofs_summed', 'package': 'tollgate'}}}) }}
with

line_costs as (

    select
        invoice_line_id,
        sum(rated_cost_amount) as rated_cost_amount,
        sum(event_count) as event_count
    from {{ ref('int_costs_expected') }}
    where invoice_line_id is not null
    group by invoice_line_id

)

select
    proofs.invoice_line_id,
    proofs.proven_amount,
    line_costs.rated_cost_amount
from {{ ref('int_call_proofs_summed') }} as proofs
left join line_costs
    on proofs.invoice_line_id = line_costs.invoice_line_id
where
    line_costs.invoice_line_id is null
    or proofs.proven_amount > line_costs.rated_cost_amount
    or proofs.listed_count > line_costs.event_count
