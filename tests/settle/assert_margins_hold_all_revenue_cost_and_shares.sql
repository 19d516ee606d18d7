-- Fails if a margin is not revenue less cost less shares, or money that needs no conversion is not in it: a
-- loss would look like a profit.
{{ config(meta={'dagster': {'ref': {'name': 'fct_margins', 'package': 'tollgate'}}}) }}
with

partners as (

    select
        charge_group_id,
        coalesce(partner_id, '') as partner_key
    from {{ ref('int_charges_grouped') }}

),

-- Days of a carrier and partner on which no money needs conversion.
money_summed as (

    select
        usage_valued.usage_date,
        ratings.carrier_id,
        partners.partner_key,
        sum(usage_valued.event_count) as event_count,
        sum(coalesce(usage_valued.revenue_amount, 0)) as revenue_amount,
        sum(coalesce(usage_valued.corrected_cost_amount, 0)) as corrected_cost_amount,
        sum(coalesce(usage_valued.share_amount, 0)) as share_amount,
        sum(coalesce(usage_valued.open_dispute_amount, 0)) as open_dispute_amount
    from {{ ref('int_usage_valued') }} as usage_valued
    inner join {{ ref('int_ratings_grouped') }} as ratings
        on usage_valued.rating_group_id = ratings.rating_group_id
    inner join partners
        on usage_valued.charge_group_id = partners.charge_group_id
    group by usage_valued.usage_date, ratings.carrier_id, partners.partner_key
    having
        count_if(usage_valued.revenue_currency != '{{ var("reporting_currency") }}') = 0
        and count_if(usage_valued.corrected_cost_currency != '{{ var("reporting_currency") }}') = 0

),

margins_summed as (

    select
        usage_date,
        carrier_id,
        coalesce(partner_id, '') as partner_key,
        count(*) as margin_count,
        count_if(has_unconverted_money) as unconverted_count,
        sum(event_count) as event_count,
        sum(revenue_amount) as revenue_amount,
        sum(corrected_cost_amount) as corrected_cost_amount,
        sum(share_amount) as share_amount,
        sum(open_dispute_amount) as open_dispute_amount
    from {{ ref('fct_margins') }}
    group by usage_date, carrier_id, coalesce(partner_id, '')

)

select
    usage_date,
    carrier_id,
    partner_id,
    margin_amount,
    revenue_amount,
    corrected_cost_amount,
    share_amount
from {{ ref('fct_margins') }}
where
    not has_unconverted_money
    and margin_amount != revenue_amount - corrected_cost_amount - share_amount

union all

select
    money_summed.usage_date,
    money_summed.carrier_id,
    money_summed.partner_key as partner_id,
    null as margin_amount,
    money_summed.revenue_amount,
    money_summed.corrected_cost_amount,
    money_summed.share_amount
from money_summed
left join margins_summed
    on
        money_summed.usage_date = margins_summed.usage_date
        and money_summed.carrier_id = margins_summed.carrier_id
        and money_summed.partner_key = margins_summed.partner_key
where
    margins_summed.event_count is distinct from money_summed.event_count
    or margins_summed.unconverted_count != 0
    or margins_summed.revenue_amount != money_summed.revenue_amount
    or margins_summed.share_amount != money_summed.share_amount
    or margins_summed.open_dispute_amount != money_summed.open_dispute_amount
    -- A cost that no invoice covers yet has more decimals than a margin shows: a row may be half a millionth
    -- off.
    or abs(margins_summed.corrected_cost_amount - money_summed.corrected_cost_amount)
    > 0.0000005 * margins_summed.margin_count
