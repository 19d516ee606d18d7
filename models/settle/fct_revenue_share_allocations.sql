with fct_revenue_share_allocations as (

    select
        allocation_id,
        allocation_type,
        transaction_group_id,
        billing_period_id,
        rule_id,
        seller_partner_id,
        beneficiary_partner_id,
        participant_role,
        service,
        share_kind,
        share_basis,
        cast(step as integer) as step,
        cast(share_ratio as decimal(9, 6)) as share_ratio,
        cast(unit_amount as decimal(18, 8)) as unit_amount,
        cast(priced_per_quantity as integer) as priced_per_quantity,
        cast(gross_amount as decimal(18, 6)) as gross_amount,
        cast(basis_amount as decimal(18, 8)) as basis_amount,
        cast(shared_amount as decimal(18, 6)) as shared_amount,
        cast(allocated_amount as decimal(18, 6)) as allocated_amount,
        cast(kept_amount as decimal(18, 6)) as kept_amount,
        cast(balance_amount as decimal(18, 6)) as balance_amount,
        share_currency,
        origin_period_date,
        period_start_date
    from {{ ref('int_shares_allocated') }}

)

select * from fct_revenue_share_allocations
