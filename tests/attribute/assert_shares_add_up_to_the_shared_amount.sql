-- Fails if the parts of a rule's beneficiaries do not add up to what the rule shares, the shares of a group
-- and what the seller keeps not to its charges, or ratios give more than was earned: a cent would be owed to
-- nobody, or twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_shares_allocated', 'package': 'tollgate'}}}) }}
with

shares as (

    select * from {{ ref('int_shares_allocated') }}

),

rules_summed as (

    select
        transaction_group_id,
        rule_id,
        max(gross_amount) as gross_amount,
        max(shared_amount) as shared_amount,
        count(distinct shared_amount) as shared_amount_count,
        sum(allocated_amount) as allocated_amount
    from shares
    group by transaction_group_id, rule_id

),

groups_summed as (

    select
        transaction_group_id,
        max(gross_amount) as gross_amount,
        max(kept_amount) as kept_amount,
        count(distinct gross_amount) as gross_amount_count,
        count(distinct kept_amount) as kept_amount_count,
        sum(allocated_amount) as allocated_amount,
        count_if(share_kind = 'ratio') = count(*) as is_by_ratio,
        min(origin_period_date) = min(period_start_date) as is_of_month
    from shares
    group by transaction_group_id

)

select
    transaction_group_id,
    rule_id,
    gross_amount,
    shared_amount,
    allocated_amount
from rules_summed
where allocated_amount != shared_amount or shared_amount_count != 1
union all
select
    transaction_group_id,
    null as rule_id,
    gross_amount,
    kept_amount as shared_amount,
    allocated_amount
from groups_summed
where
    gross_amount != kept_amount + allocated_amount
    or gross_amount_count != 1
    or kept_amount_count != 1
    or (is_by_ratio and is_of_month and abs(allocated_amount) > abs(gross_amount))
