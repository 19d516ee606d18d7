-- One row per carrier invoice with the tax that the agreement puts on what the carrier itself invoiced, fees
-- that are not taxed left out. Tax on an overcharge is right as a tax: it comes back with the overcharge, and
-- is no second variance.
with

lines as (

    select * from {{ ref('int_invoice_lines_versioned') }}

),

untaxed_fees as (

    select distinct
        carrier_id,
        fee_key,
        fee_currency,
        period_start_date
    from {{ ref('int_fees_expected') }}
    where not is_taxed

),

invoices_summed as (

    select
        lines.invoice_id,
        min(lines.agreement_id) as agreement_id,
        min(lines.invoice_currency) as tax_currency,
        min(lines.rounding_mode) as rounding_mode,
        min(lines.line_rounding_decimals) as line_rounding_decimals,
        max(lines.tax_ratio) as tax_ratio,
        bool_or(lines.line_type = 'tax') as is_invoiced,
        cast(sum(
            case
                when lines.line_type != 'tax' and untaxed_fees.fee_key is null then lines.invoiced_amount
                else 0
            end
        ) as {{ exact_amount() }}) as taxable_amount
    from lines
    left join untaxed_fees
        on
            lines.carrier_id = untaxed_fees.carrier_id
            and lines.fee_key = untaxed_fees.fee_key
            and lines.agreement_currency = untaxed_fees.fee_currency
            and lines.period_start_date = untaxed_fees.period_start_date
    group by lines.invoice_id

),

taxes_expected as (

    select
        *,
        {{ scale_money('taxable_amount', 'tax_ratio', '1', 'line_rounding_decimals', 'rounding_mode') }}
            as expected_tax_amount
    from invoices_summed

)

select * from taxes_expected
