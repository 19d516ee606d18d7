-- Fails if documents that are netted with each other are due on different days: one side would be paid in
-- full before the other is set off.
{{ config(meta={'dagster': {'ref': {'name': 'fct_open_items', 'package': 'tollgate'}}}) }}
select
    netted.netting_statement_id,
    min(items.due_date) as first_due_date,
    max(items.due_date) as last_due_date
from {{ ref('fct_open_items') }} as items
inner join {{ ref('fct_netting_lines') }} as netted
    on
        items.document_id = netted.document_id
        and items.document_type = case netted.party_role when 'carrier' then 'settlement' else 'statement' end
group by netted.netting_statement_id
having count(distinct coalesce(items.due_date, date '9999-12-31')) > 1
