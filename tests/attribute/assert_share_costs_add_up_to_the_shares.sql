-- Fails if the share costs of the usage groups do not add up to what the partners are owed: margins would be
-- shown before shares that have to be paid. What a guarantee pays without revenue in its
-- currency can be laid on none.
{{ config(meta={'dagster': {'ref': {'name': 'int_share_costs_allocated', 'package': 'tollgate'}}}) }}
with

shares_summed as (

    select
        share_currency,
        sum(allocated_amount) as allocated_amount
    from {{ ref('int_shares_allocated') }} as allocations
    where
        exists (
            select 1 from {{ ref('int_revenue_allocated') }} as revenue
            where
                allocations.partner_agreement_id = revenue.partner_agreement_id
                and allocations.service = revenue.service
                and allocations.share_currency = revenue.revenue_currency
                and allocations.period_start_date = revenue.period_start_date
        )
    group by share_currency

),

costs_summed as (

    select
        share_currency,
        sum(share_amount) as share_amount
    from {{ ref('int_share_costs_allocated') }}
    group by share_currency

)

select
    coalesce(shares_summed.share_currency, costs_summed.share_currency) as share_currency,
    shares_summed.allocated_amount,
    costs_summed.share_amount
from shares_summed
full outer join costs_summed
    on shares_summed.share_currency = costs_summed.share_currency
where coalesce(shares_summed.allocated_amount, 0) != coalesce(costs_summed.share_amount, 0)
