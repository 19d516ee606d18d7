-- Fails if the tax lines of an invoice, with the one that the carrier left out, are not compared with the
-- expected tax once, or what was invoiced is neither taxed, nor tax, nor an untaxed fee: tax would be paid on
-- nothing, or twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_taxes_expected', 'package': 'tollgate'}}}) }}
with

taxes_matched as (

    select
        invoice_id,
        sum(rated_amount) as rated_amount
    from {{ ref('int_invoice_lines_matched') }}
    where line_type = 'tax'
    group by invoice_id

),

lines_taxed as (

    select
        invoice_id,
        sum(
            case
                when line_type = 'tax' then 0
                when
                    line_type = 'fee'
                    and carrier_id || '|' || agreement_currency || '|' || cast(period_start_date as string)
                    || '|' || coalesce(fee_key, '') in (
                        select
                            fees.carrier_id || '|' || fees.fee_currency
                            || '|' || cast(fees.period_start_date as string) || '|' || fees.fee_key
                        from {{ ref('int_fees_expected') }} as fees
                        where not fees.is_taxed
                    )
                    then 0
                else invoiced_amount
            end
        ) as taxed_amount
    from {{ ref('int_invoice_lines_versioned') }}
    group by invoice_id

)

select
    lines_taxed.invoice_id,
    lines_taxed.taxed_amount,
    taxes.taxable_amount,
    taxes.expected_tax_amount,
    taxes_matched.rated_amount
from lines_taxed
full outer join {{ ref('int_taxes_expected') }} as taxes
    on lines_taxed.invoice_id = taxes.invoice_id
left join taxes_matched
    on taxes.invoice_id = taxes_matched.invoice_id
where
    taxes.taxable_amount is distinct from lines_taxed.taxed_amount
    or taxes.expected_tax_amount != coalesce(taxes_matched.rated_amount, 0)
