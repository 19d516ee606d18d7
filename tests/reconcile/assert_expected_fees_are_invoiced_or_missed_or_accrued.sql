-- Fails if an expected fee stands behind no line of an invoice, behind no line that the carrier left out and
-- in no accrual, or behind two of them: its cost would be forgotten, or expected twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_invoice_lines_matched', 'package': 'tollgate'}}}) }}
with

places as (

    select
        carrier_id,
        agreement_currency as fee_currency,
        agreement_rated_amount as fee_amount
    from {{ ref('int_invoice_lines_matched') }}
    where line_type = 'fee'
    union all
    select
        carrier_id,
        accrual_currency as fee_currency,
        accrued_amount as fee_amount
    from {{ ref('int_accruals_estimated') }}
    where fee_name is not null

),

places_summed as (

    select
        carrier_id,
        fee_currency,
        sum(fee_amount) as placed_amount
    from places
    group by carrier_id, fee_currency

),

expected_summed as (

    select
        carrier_id,
        fee_currency,
        sum(expected_fee_amount) as expected_amount
    from {{ ref('int_fees_expected') }}
    group by carrier_id, fee_currency

)

select
    coalesce(expected_summed.carrier_id, places_summed.carrier_id) as carrier_id,
    coalesce(expected_summed.fee_currency, places_summed.fee_currency) as fee_currency,
    expected_summed.expected_amount,
    places_summed.placed_amount
from expected_summed
full outer join places_summed
    on
        expected_summed.carrier_id = places_summed.carrier_id
        and expected_summed.fee_currency = places_summed.fee_currency
where coalesce(expected_summed.expected_amount, 0) != coalesce(places_summed.placed_amount, 0)
