-- Fails if the usage groups of a day do not add up to its revenue, its shares or its corrected cost, or are
-- in another currency: margins would show money that nobody owes, or hide some.
{{ config(meta={'dagster': {'ref': {'name': 'int_usage_valued', 'package': 'tollgate'}}}) }}
with

charges_summed as (

    select
        charge_group_id,
        partner_local_date,
        min(revenue_currency) as least_currency,
        max(revenue_currency) as most_currency,
        sum(revenue_amount) as revenue_amount,
        sum(share_amount) as share_amount
    from {{ ref('int_usage_valued') }}
    where revenue_currency is not null
    group by charge_group_id, partner_local_date

),

costs_summed as (

    select
        rating_group_id,
        carrier_local_date,
        part_number,
        min(corrected_cost_currency) as least_currency,
        max(corrected_cost_currency) as most_currency,
        sum(corrected_cost_amount) as corrected_cost_amount,
        sum(open_dispute_amount) as open_dispute_amount
    from {{ ref('int_usage_valued') }}
    where corrected_cost_currency is not null
    group by rating_group_id, carrier_local_date, part_number

)

select
    'charge group '
    || cast(coalesce(revenue_of_days.charge_group_id, charges_summed.charge_group_id) as string) as offender,
    coalesce(revenue_of_days.partner_local_date, charges_summed.partner_local_date) as local_date,
    revenue_of_days.revenue_amount as amount_of_the_day,
    charges_summed.revenue_amount as amount_of_the_groups
from {{ ref('int_revenue_allocated') }} as revenue_of_days
full outer join charges_summed
    on
        revenue_of_days.charge_group_id = charges_summed.charge_group_id
        and revenue_of_days.partner_local_date = charges_summed.partner_local_date
left join {{ ref('int_share_costs_allocated') }} as shares_of_days
    on
        revenue_of_days.charge_group_id = shares_of_days.charge_group_id
        and revenue_of_days.partner_local_date = shares_of_days.partner_local_date
where
    revenue_of_days.revenue_amount != coalesce(charges_summed.revenue_amount, 0)
    or coalesce(shares_of_days.share_amount, 0) != coalesce(charges_summed.share_amount, 0)
    or revenue_of_days.revenue_currency is distinct from charges_summed.least_currency
    or revenue_of_days.revenue_currency is distinct from charges_summed.most_currency

union all

select
    'rating group '
    || cast(coalesce(costs_of_days.rating_group_id, costs_summed.rating_group_id) as string) as offender,
    coalesce(costs_of_days.carrier_local_date, costs_summed.carrier_local_date) as local_date,
    costs_of_days.corrected_cost_amount as amount_of_the_day,
    costs_summed.corrected_cost_amount as amount_of_the_groups
from {{ ref('int_costs_corrected') }} as costs_of_days
full outer join costs_summed
    on
        costs_of_days.rating_group_id = costs_summed.rating_group_id
        and costs_of_days.carrier_local_date = costs_summed.carrier_local_date
        and costs_of_days.part_number = costs_summed.part_number
where
    costs_of_days.corrected_cost_amount is distinct from costs_summed.corrected_cost_amount
    or costs_of_days.open_dispute_amount is distinct from costs_summed.open_dispute_amount
    or costs_of_days.corrected_cost_currency is distinct from costs_summed.least_currency
    or costs_of_days.corrected_cost_currency is distinct from costs_summed.most_currency
