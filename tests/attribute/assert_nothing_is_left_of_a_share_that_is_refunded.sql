-- Fails if refunds have taken back all charges of a transaction group, and some of its shares are still owed,
-- or more than they were is taken back: a partner would keep money that the customer has again.
{{ config(meta={'dagster': {'ref': {'name': 'int_shares_rounded', 'package': 'tollgate'}}}) }}
with

groups_left as (

    select
        origin_group_id,
        sum(gross_amount) as gross_amount
    from (
        select distinct
            origin_group_id,
            transaction_group_id,
            gross_amount
        from {{ ref('int_shares_rounded') }}
    ) as transaction_groups
    group by origin_group_id

),

shares_left as (

    select
        origin_group_id,
        share_row_id,
        beneficiary_partner_id,
        sum(allocated_amount) as allocated_amount,
        count(distinct transaction_group_id) as group_count
    from {{ ref('int_shares_rounded') }}
    group by origin_group_id, share_row_id, beneficiary_partner_id

)

select
    shares_left.origin_group_id,
    shares_left.share_row_id,
    shares_left.beneficiary_partner_id,
    shares_left.allocated_amount
from shares_left
inner join groups_left
    on shares_left.origin_group_id = groups_left.origin_group_id
where
    groups_left.gross_amount = 0
    and shares_left.group_count > 1
    and shares_left.allocated_amount != 0
