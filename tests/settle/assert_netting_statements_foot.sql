-- Fails if a netting statement does not foot, or leaves out a settlement or a partner statement of the party:
-- the net amount would be paid on half of the account.
{{ config(meta={'dagster': {'ref': {'name': 'fct_netting_statements', 'package': 'tollgate'}}}) }}
with

both_sides as (

    select
        settlements.carrier_id as party_id,
        settlements.period_start_date,
        settlements.settlement_currency as currency,
        settlements.payable_amount - settlements.receivable_amount as owed_amount
    from {{ ref('fct_carrier_settlements') }} as settlements
    inner join {{ ref('dim_carriers') }} as carriers
        on settlements.carrier_id = carriers.carrier_id
    where carriers.is_partner
    union all
    select
        statements.partner_id as party_id,
        statements.period_start_date,
        statements.statement_currency as currency,
        statements.payable_amount - statements.receivable_amount as owed_amount
    from {{ ref('fct_partner_statements') }} as statements
    inner join {{ ref('dim_partners') }} as partners
        on statements.partner_id = partners.partner_id
    where partners.is_carrier

),

both_sides_summed as (

    select
        party_id,
        period_start_date,
        currency,
        sum(owed_amount) as owed_amount
    from both_sides
    group by party_id, period_start_date, currency

)

select
    coalesce(netted.party_id, both_sides_summed.party_id) as party_id,
    netted.net_payable_amount,
    netted.net_receivable_amount,
    both_sides_summed.owed_amount
from {{ ref('fct_netting_statements') }} as netted
full outer join both_sides_summed
    on
        netted.party_id = both_sides_summed.party_id
        and netted.period_start_date = both_sides_summed.period_start_date
        and netted.netting_currency = both_sides_summed.currency
where
    netted.net_payable_amount - netted.net_receivable_amount is distinct from both_sides_summed.owed_amount
    or netted.net_payable_amount - netted.net_receivable_amount
    != netted.carrier_payable_amount + netted.partner_payable_amount
    - netted.carrier_receivable_amount - netted.partner_receivable_amount
    or least(netted.net_payable_amount, netted.net_receivable_amount) != 0
