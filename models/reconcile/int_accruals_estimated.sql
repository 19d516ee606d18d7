-- One row per carrier agreement, billing month, service and direction with usage that no invoice is about
-- yet, and one per fee of the month that no invoice is about: the cost that will come.
with

costs as (

    select * from {{ ref('int_costs_expected') }}

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

usage_accrued as (

    select
        costs.agreement_id || ':' || {{ month_name_of('costs.period_start_date') }}
        || ':' || costs.service || ':' || costs.direction as accrual_id,
        costs.agreement_id || ':' || {{ month_name_of('costs.period_start_date') }} as billing_period_id,
        costs.carrier_id,
        costs.service,
        costs.direction,
        cast(null as string) as fee_name,
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

),

fees_accrued as (

    select
        expected_fee_id as accrual_id,
        agreement_id || ':' || {{ month_name_of('period_start_date') }} as billing_period_id,
        carrier_id,
        service,
        direction,
        fee_name,
        fee_currency as accrual_currency,
        0 as event_count,
        expected_fee_amount as accrued_amount,
        period_start_date
    from {{ ref('int_fees_expected') }}
    where not is_invoiced and omitted_by_invoice_id is null and expected_fee_amount != 0

),

accruals_estimated as (

    select * from usage_accrued
    union all
    select * from fees_accrued

)

select * from accruals_estimated
