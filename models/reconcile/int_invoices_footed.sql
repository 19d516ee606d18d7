-- One row per carrier invoice: what its lines sum to, the total that it states, and how the agreement has
-- that total rounded. Where totals are rounded, one that is the sum of the lines rounded up or down is the
-- carrier's own rounding; the lines of any other invoice must add up.
with

invoices_summed as (

    select
        invoice_id,
        min(billing_period_id) as billing_period_id,
        min(carrier_id) as carrier_id,
        min(agreement_id) as agreement_id,
        min(invoice_number) as invoice_number,
        min(invoice_currency) as invoice_currency,
        min(agreement_currency) as agreement_currency,
        min(rounding_mode) as rounding_mode,
        min(total_rounding_decimals) as total_rounding_decimals,
        min(agreement_rounding_decimals) as agreement_rounding_decimals,
        min(line_rounding_decimals) as line_rounding_decimals,
        min(payment_days) as payment_days,
        max(invoice_version) as invoice_version,
        max(invoice_total_amount) as invoice_total_amount,
        cast(sum(invoiced_amount) as {{ exact_amount() }}) as lines_amount,
        min(invoice_date) as invoice_date,
        min(period_start_date) as period_start_date
    from {{ ref('int_invoice_lines_versioned') }}
    group by invoice_id

),

totals_rounded as (

    select
        *,
        case
            when total_rounding_decimals is null then cast(0 as {{ exact_amount() }})
            else {{ round_money('lines_amount', 'total_rounding_decimals', 'rounding_mode') }} - lines_amount
        end as expected_rounding_amount,
        coalesce(
            total_rounding_decimals is not null
            and invoice_total_amount in (
                {{ round_money('lines_amount', 'total_rounding_decimals', "'up'") }},
                {{ round_money('lines_amount', 'total_rounding_decimals', "'down'") }}
            ), false
        ) as is_rounded_by_carrier
    from invoices_summed

),

invoices_footed as (

    select
        *,
        case
            when is_rounded_by_carrier then invoice_total_amount - lines_amount
            else expected_rounding_amount
        end as invoiced_rounding_amount,
        invoice_total_amount != lines_amount and not is_rounded_by_carrier as is_unfooted
    from totals_rounded

)

select * from invoices_footed
