-- Fails if rating a line again does not begin at what it was rated at, with the events that stand behind it,
-- or its steps do not add up to the amount of the last one: the bridge would have a gap that no cause fills.
{{ config(meta={'dagster': {'ref': {'name': 'int_lines_rerated', 'package': 'tollgate'}}}) }}
with

steps_summed as (

    select
        invoice_line_id,
        max(case when step_number = 0 then amount end) as first_amount,
        max(case when step_number = 0 then event_count end) as first_event_count,
        max(case when step_number = 0 then billed_quantity end) as first_quantity,
        max(case when step_number = 8 then amount end) as last_amount,
        sum(step_variance_amount) as steps_amount
    from {{ ref('int_lines_rerated') }}
    group by invoice_line_id

)

select
    steps_summed.invoice_line_id,
    invoice_lines.rated_amount,
    steps_summed.first_amount,
    steps_summed.steps_amount,
    steps_summed.last_amount
from steps_summed
left join {{ ref('int_invoice_lines_matched') }} as invoice_lines
    on steps_summed.invoice_line_id = invoice_lines.invoice_line_id
where
    steps_summed.first_amount is distinct from invoice_lines.rated_amount
    or steps_summed.first_event_count is distinct from coalesce(invoice_lines.rated_event_count, 0)
    -- Of a line with segments and messages neither side knows a quantity.
    or steps_summed.first_quantity is distinct from
    case when invoice_lines.rated_event_count is null then 0 else invoice_lines.rated_quantity end
    or steps_summed.first_amount + steps_summed.steps_amount is distinct from steps_summed.last_amount
