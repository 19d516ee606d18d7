-- Fails if the lines that an invoice should have and what is accrued for it differ in events or in money
-- before rounding: one of the two would be held against the invoice, the other one is in the books.
{{ config(meta={'dagster': {'ref': {'name': 'int_invoice_lines_expected', 'package': 'tollgate'}}}) }}
with

expected as (

    select
        agreement_id,
        billing_period_id,
        coalesce(fee_name, service || ':' || direction) as what,
        expected_currency as currency,
        sum(event_count) as event_count,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from {{ ref('int_invoice_lines_expected') }}
    where line_type != 'tax'
    group by
        agreement_id, billing_period_id, coalesce(fee_name, service || ':' || direction), expected_currency

),

expected_rounded as (

    select
        expected.*,
        {{ round_money(
            'expected.rated_cost_amount', 'agreements.line_rounding_decimals', 'agreements.rounding_mode'
        ) }} as rounded_amount
    from expected
    inner join {{ ref('stg_terms__agreements') }} as agreements
        on expected.agreement_id = agreements.agreement_id

),

accrued as (

    select
        billing_period_id,
        coalesce(fee_name, service || ':' || direction) as what,
        accrual_currency as currency,
        event_count,
        accrued_amount
    from {{ ref('int_accruals_estimated') }}

)

select
    coalesce(expected_rounded.billing_period_id, accrued.billing_period_id) as billing_period_id,
    coalesce(expected_rounded.what, accrued.what) as what,
    expected_rounded.event_count as expected_event_count,
    accrued.event_count as accrued_event_count,
    expected_rounded.rounded_amount,
    accrued.accrued_amount
from expected_rounded
full outer join accrued
    on
        expected_rounded.billing_period_id = accrued.billing_period_id
        and expected_rounded.what = accrued.what
        and expected_rounded.currency = accrued.currency
where
    expected_rounded.event_count is distinct from accrued.event_count
    or expected_rounded.rounded_amount is distinct from accrued.accrued_amount
