-- One row per carrier agreement, billing month, service and direction whose usage no invoice covers yet: the
-- cost that will come.
with

costs as (

    select * from {{ ref('int_costs_expected') }}

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

invoiced_periods as (

    select distinct
        agreement_id,
        period_start_date
    from {{ ref('int_invoice_lines_versioned') }}

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
    left join invoiced_periods
        on
            costs.agreement_id = invoiced_periods.agreement_id
            and costs.period_start_date = invoiced_periods.period_start_date
    where costs.invoice_line_id is null and invoiced_periods.agreement_id is null
    group by
        costs.agreement_id, costs.carrier_id, costs.service, costs.direction, costs.rated_cost_currency,
        costs.period_start_date

)

select * from accruals_estimated
