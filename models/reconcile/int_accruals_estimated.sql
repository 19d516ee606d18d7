-- One row per carrier agreement, billing month, service and direction with usage that no
-- invoice is about yet: the cost that will come.
with

costs as (

    select * from {{ ref('int_costs_expected') }}

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

accruals_estimated as (

    select
        costs.agreement_id || ':' || {{ month_name_of('costs.period_start_date') }}
        || ':' || costs.service || ':' || costs.direction as accrual_id,
        costs.agreement_id || ':' || {{ month_name_of('costs.period_start_date') }} as billing_period_id,
        costs.carrier_id,
        costs.service,
        costs.direction,
        costs.rated_cost_currency as accrual_currency,
        sum(costs.event_count) as event_count,
        {{ round_money(
            'cast(sum(costs.rated_cost_amount) as ' ~ exact_amount() ~ ')',
            'min(agreements.line_rounding_decimals)', 'min(agreements.rounding_mode)'
        ) }} as accrued_amount,
        costs.period_start_date
    from costs
    inner join agreements
        on costs.agreement_id = agreements.agreement_id
    where costs.invoice_line_id is null and costs.omitted_by_invoice_id is null
    group by
        costs.agreement_id, costs.carrier_id, costs.service, costs.direction, costs.rated_cost_currency,
        costs.period_start_date

)

select * from accruals_estimated
