-- Fails if the parts of a rule's beneficiaries do not add up to what the rule shares, or the rules of a
-- seller share more than it earned: a cent would be owed to nobody, or twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_shares_allocated', 'package': 'tollgate'}}}) }}
with

rules_summed as (

    select
        transaction_group_id,
        rule_id,
        gross_amount,
        shared_amount,
        sum(allocated_amount) as allocated_amount
    from {{ ref('int_shares_allocated') }}
    group by transaction_group_id, rule_id, gross_amount, shared_amount

),

groups_summed as (

    select
        transaction_group_id,
        max(gross_amount) as gross_amount,
        count(distinct gross_amount) as gross_amount_count,
        sum(shared_amount) as shared_amount,
        sum(allocated_amount) as allocated_amount
    from rules_summed
    group by transaction_group_id

)

select
    transaction_group_id,
    rule_id,
    shared_amount,
    allocated_amount
from rules_summed
where shared_amount != allocated_amount

union all

select
    transaction_group_id,
    'all rules' as rule_id,
    shared_amount,
    allocated_amount
from groups_summed
where abs(shared_amount) > abs(gross_amount) or gross_amount_count != 1
