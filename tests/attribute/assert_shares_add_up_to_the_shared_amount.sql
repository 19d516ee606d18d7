-- Fails if the parts of a rule's beneficiaries do not add up to what the rule shares, or a rule shares more
-- than was earned: a cent would be owed to nobody, or twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_shares_allocated', 'package': 'tollgate'}}}) }}
with

rules_summed as (

    select
        transaction_group_id,
        rule_id,
        max(gross_amount) as gross_amount,
        max(shared_amount) as shared_amount,
        count(distinct gross_amount) as gross_amount_count,
        count(distinct shared_amount) as shared_amount_count,
        sum(allocated_amount) as allocated_amount
    from {{ ref('int_shares_allocated') }}
    group by transaction_group_id, rule_id

)

select
    transaction_group_id,
    rule_id,
    gross_amount,
    shared_amount,
    allocated_amount
from rules_summed
where
    allocated_amount != shared_amount
    or abs(shared_amount) > abs(gross_amount)
    or gross_amount_count != 1
    or shared_amount_count != 1
