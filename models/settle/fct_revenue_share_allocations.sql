with fct_revenue_share_allocations as (

    select
        allocation_id,
        transaction_group_id,
        billing_period_id,
        rule_id,
        seller_partner_id,
        beneficiary_partner_id,
        service,
        cast(share_ratio as decimal(9, 6)) as share_ratio,
        cast(gross_amount as decimal(18, 6)) as gross_amount,
        cast(shared_amount as decimal(18, 6)) as shared_amount,
        cast(allocated_amount as decimal(18, 6)) as allocated_amount,
        share_currency,
        period_start_date
    from {{ ref('int_shares_allocated') }}

)

select * from fct_revenue_share_allocations
