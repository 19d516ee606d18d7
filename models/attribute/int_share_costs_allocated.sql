-- One row per plan and day whose revenue is shared: its part of what the seller's rules give away, by
-- revenue, to a millionth. What a guarantee pays in a month without revenue in its currency can be laid on
-- none.
with

shared as (

    select
        partner_agreement_id,
        service,
        share_currency,
        period_start_date,
        cast(sum(allocated_amount) as {{ exact_amount() }}) as group_shared_amount
    from {{ ref('int_shares_allocated') }}
    group by partner_agreement_id, service, share_currency, period_start_date

),

days_with_shares as (

    select
        revenue.charge_group_id,
        revenue.partner_local_date,
        shared.share_currency,
        -- Where a month earns nothing, by what was used.
        case
            when
                sum(abs(revenue.revenue_amount)) over (
                    partition by
                        shared.partner_agreement_id, shared.service, shared.share_currency,
                        shared.period_start_date
                ) > 0
                then abs(revenue.revenue_amount)
            else revenue.charged_quantity
        end as weight,
        shared.partner_agreement_id,
        shared.service,
        shared.period_start_date,
        shared.group_shared_amount
    from {{ ref('int_revenue_allocated') }} as revenue
    inner join shared
        on
            revenue.partner_agreement_id = shared.partner_agreement_id
            and revenue.service = shared.service
            and revenue.revenue_currency = shared.share_currency
            and revenue.period_start_date = shared.period_start_date

),

share_costs_allocated as (

    {{ allocate(
        source='days_with_shares', total='group_shared_amount', weight='weight',
        group_by='partner_agreement_id, service, share_currency, period_start_date',
        tie_break='partner_local_date, charge_group_id', decimals=6, into='share_amount'
    ) }}

)

select
    charge_group_id,
    share_currency,
    share_amount,
    partner_local_date
from share_costs_allocated
