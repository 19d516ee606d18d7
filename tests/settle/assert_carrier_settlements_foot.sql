-- Fails if a settlement does not foot, or an amount stands on the wrong side: we would pay what we dispute,
-- or forget what comes back.
{{ config(meta={'dagster': {'ref': {'name': 'fct_carrier_settlements', 'package': 'tollgate'}}}) }}
select
    carrier_settlement_id,
    invoiced_amount,
    accepted_amount,
    disputed_amount,
    payable_amount,
    receivable_amount
from {{ ref('fct_carrier_settlements') }}
where
    accepted_amount + disputed_amount != invoiced_amount
    or variance_amount != invoiced_amount - rated_amount
    or payable_amount - receivable_amount != invoiced_amount - credited_amount - withheld_amount
    or least(payable_amount, receivable_amount) != 0
    or withheld_amount < 0
    -- A bill that no agreement covers is held as a whole, and nothing of it is disputed.
    or (has_agreement and withheld_amount > disputed_amount)
    or credited_amount < 0
