-- Fails if a netting statement does not foot, or leaves out a settlement or a partner statement of the party:
-- the net amount would be paid on half of the account.
{{ config(meta={'dagster': {'ref': {'name': 'fct_netting_statements', 'package': 'tollgate'}}}) }}
with

documents as (

    select
        'carrier:' || settlements.carrier_settlement_id as netting_line_id,
        settlements.settlement_currency as document_currency,
        settlements.payable_amount,
        settlements.receivable_amount
    from {{ ref('fct_carrier_settlements') }} as settlements
    inner join {{ ref('dim_carriers') }} as carriers
        on settlements.carrier_id = carriers.carrier_id
    where carriers.is_partner
    union all
    select
        'partner:' || statements.statement_id as netting_line_id,
        statements.statement_currency as document_currency,
        statements.payable_amount,
        statements.receivable_amount
    from {{ ref('fct_partner_statements') }} as statements
    inner join {{ ref('dim_partners') }} as partners
        on statements.partner_id = partners.partner_id
    where partners.is_carrier

),

lines_summed as (

    select
        netting_statement_id,
        sum(netted_payable_amount - netted_receivable_amount) as owed_amount
    from {{ ref('fct_netting_lines') }}
    group by netting_statement_id

)

select
    coalesce(documents.netting_line_id, netted.netting_line_id) as id,
    documents.payable_amount - documents.receivable_amount as expected_amount,
    netted.payable_amount - netted.receivable_amount as found_amount
from documents
full outer join {{ ref('fct_netting_lines') }} as netted
    on documents.netting_line_id = netted.netting_line_id
where
    documents.payable_amount is distinct from netted.payable_amount
    or documents.receivable_amount is distinct from netted.receivable_amount
    or documents.document_currency is distinct from netted.document_currency

union all

select
    coalesce(netted.netting_statement_id, lines_summed.netting_statement_id) as id,
    lines_summed.owed_amount as expected_amount,
    netted.net_payable_amount - netted.net_receivable_amount as found_amount
from {{ ref('fct_netting_statements') }} as netted
full outer join lines_summed
    on netted.netting_statement_id = lines_summed.netting_statement_id
where
    netted.net_payable_amount - netted.net_receivable_amount is distinct from lines_summed.owed_amount
    or netted.net_payable_amount - netted.net_receivable_amount
    != netted.carrier_payable_amount + netted.partner_payable_amount
    - netted.carrier_receivable_amount - netted.partner_receivable_amount
    or least(netted.net_payable_amount, netted.net_receivable_amount) != 0
