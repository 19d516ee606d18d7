-- Fails if a margin is not revenue less cost less shares, or money that needs no conversion is not in it: a
-- loss would look like a profit.
{{ config(meta={'dagster': {'ref': {'name': 'fct_margins', 'package': 'tollgate'}}}) }}
with

money as (

    select
        usage_group_id,
        revenue_currency as money_currency,
        revenue_amount,
        0 as corrected_cost_amount,
        0 as share_amount
    from {{ ref('int_revenue_allocated') }}
    union all
    select
        usage_group_id,
        corrected_cost_currency as money_currency,
        0 as revenue_amount,
        corrected_cost_amount,
        0 as share_amount
    from {{ ref('int_costs_corrected') }}
    union all
    select
        usage_group_id,
        share_currency as money_currency,
        0 as revenue_amount,
        0 as corrected_cost_amount,
        share_amount
    from {{ ref('int_share_costs_allocated') }}

),

money_summed as (

    select
        usage_groups.usage_date,
        usage_groups.service,
        usage_groups.direction,
        usage_groups.carrier_id,
        coalesce(usage_groups.destination_id, '') as destination_key,
        coalesce(usage_groups.partner_id, '') as partner_key,
        cast(sum(money.revenue_amount) as {{ exact_amount() }}) as revenue_amount,
        cast(sum(money.corrected_cost_amount) as {{ exact_amount() }}) as corrected_cost_amount,
        cast(sum(money.share_amount) as {{ exact_amount() }}) as share_amount
    from {{ ref('int_usage_aggregated') }} as usage_groups
    inner join money
        on usage_groups.usage_group_id = money.usage_group_id
    group by
        usage_groups.usage_date, usage_groups.service, usage_groups.direction, usage_groups.carrier_id,
        coalesce(usage_groups.destination_id, ''), coalesce(usage_groups.partner_id, '')
    having count_if(money.money_currency != '{{ var("reporting_currency") }}') = 0

),

margins as (

    select
        *,
        coalesce(destination_id, '') as destination_key,
        coalesce(partner_id, '') as partner_key
    from {{ ref('fct_margins') }}

)

select
    margin_id,
    margin_amount,
    revenue_amount,
    corrected_cost_amount,
    share_amount
from margins
where
    not has_unconverted_money
    and margin_amount != revenue_amount - corrected_cost_amount - share_amount

union all

select
    margins.margin_id,
    margins.margin_amount,
    money_summed.revenue_amount,
    money_summed.corrected_cost_amount,
    money_summed.share_amount
from money_summed
left join margins
    on
        money_summed.usage_date = margins.usage_date
        and money_summed.service = margins.service
        and money_summed.direction = margins.direction
        and money_summed.carrier_id = margins.carrier_id
        and money_summed.destination_key = margins.destination_key
        and money_summed.partner_key = margins.partner_key
where
    margins.revenue_amount is distinct from {{ round_money('money_summed.revenue_amount', 6, "'half_up'") }}
    or margins.corrected_cost_amount
    is distinct from {{ round_money('money_summed.corrected_cost_amount', 6, "'half_up'") }}
    or margins.share_amount is distinct from {{ round_money('money_summed.share_amount', 6, "'half_up'") }}
