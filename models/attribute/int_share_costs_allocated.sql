-- One row per usage group whose revenue is shared: its part of what the seller's rules give away, by
-- revenue, to a millionth.
with

shared as (

    select
        partner_agreement_id,
        service,
        period_start_date,
        cast(sum(allocated_amount) as {{ exact_amount() }}) as group_shared_amount
    from {{ ref('int_shares_allocated') }}
    group by partner_agreement_id, service, period_start_date

),

groups_with_shares as (

    select
        revenue.usage_group_id,
        revenue.revenue_currency as share_currency,
        revenue.revenue_amount,
        shared.partner_agreement_id,
        shared.service,
        shared.period_start_date,
        shared.group_shared_amount
    from {{ ref('int_revenue_allocated') }} as revenue
    inner join shared
        on
            revenue.partner_agreement_id = shared.partner_agreement_id
            and revenue.service = shared.service
            and revenue.period_start_date = shared.period_start_date

),

share_costs_allocated as (

    {{ allocate(
        source='groups_with_shares', total='group_shared_amount', weight='abs(revenue_amount)',
        group_by='partner_agreement_id, service, period_start_date', tie_break='usage_group_id', decimals=6,
        into='share_amount'
    ) }}

)

select
    usage_group_id,
    share_currency,
    share_amount
from share_costs_allocated
