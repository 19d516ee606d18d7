-- One row per carrier, billing period and currency: what was invoiced, what stands, what is disputed,
-- credited and withheld, and what is therefore to be paid, or to be got back; and what has been paid of it by
-- payments that name an invoice.
with

lines as (

    select
        billing_period_id,
        carrier_id,
        invoice_currency as settlement_currency,
        period_start_date,
        max({{ add_days('invoice_date', 'payment_days') }}) as due_date,
        count(distinct invoice_id) as invoice_count,
        count(agreement_id) > 0 as has_agreement,
        cast(sum(invoiced_amount) as {{ exact_amount() }}) as invoiced_amount,
        cast(sum(rated_amount) as {{ exact_amount() }}) as rated_amount,
        cast(sum(case when line_type = 'tax' then invoiced_amount else 0 end) as {{ exact_amount() }})
            as invoiced_tax_amount,
        cast(
            sum(
                case
                    when line_type in ('usage', 'fee') and invoiced_amount < 0 then -invoiced_amount
                    else 0
                end
            )
            as {{ exact_amount() }}
        ) as credited_on_lines_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by billing_period_id, carrier_id, invoice_currency, period_start_date

),

disputes as (

    select
        billing_period_id,
        carrier_id,
        dispute_currency,
        cast(sum(claimed_amount) as {{ exact_amount() }}) as disputed_amount,
        cast(sum(case when cause = 'TAX' then claimed_amount else 0 end) as {{ exact_amount() }})
            as disputed_tax_amount,
        cast(sum(credit_received_amount) as {{ exact_amount() }}) as credited_on_disputes_amount,
        cast(sum(withheld_amount) as {{ exact_amount() }}) as withheld_amount,
        cast(sum(expected_credit_amount) as {{ exact_amount() }}) as expected_credit_amount
    from {{ ref('int_disputes_followed') }}
    group by billing_period_id, carrier_id, dispute_currency

),

-- An invoice that spans periods counts in its first one.
invoices as (

    select * from {{ ref('int_invoices_footed') }}

),

unfooted_invoices as (

    select
        billing_period_id,
        invoice_currency,
        count(*) as unfooted_invoice_count
    from invoices
    where is_unfooted
    group by billing_period_id, invoice_currency

),

credits as (

    select
        invoices.billing_period_id,
        credit_notes.credit_currency,
        cast(sum(credit_notes.part_amount) as {{ exact_amount() }}) as credited_amount,
        cast(
            sum(
                case
                    when credit_notes.cause is null and credit_notes.dispute_id is null
                        then credit_notes.part_amount
                    else 0
                end
            )
            as {{ exact_amount() }}
        ) as credited_without_cause_amount
    from {{ ref('int_credits_matched') }} as credit_notes
    inner join invoices
        on
            credit_notes.invoice_id = invoices.invoice_id
            and credit_notes.credit_currency = invoices.invoice_currency
    where credit_notes.refusal_reason is null
    group by invoices.billing_period_id, credit_notes.credit_currency

),

payments as (

    select
        invoices.billing_period_id,
        payments.payment_currency,
        cast(
            sum(
                case when payments.direction = 'paid' then payments.paid_amount else -payments.paid_amount end
            )
            as {{ exact_amount() }}
        ) as paid_amount
    from {{ ref('int_payments_collected') }} as payments
    inner join invoices
        on
            payments.party_id || ':' || payments.invoice_number = invoices.invoice_id
            and payments.payment_currency = invoices.invoice_currency
    where payments.refusal_reason is null and payments.settles = 'carrier'
    group by invoices.billing_period_id, payments.payment_currency

),

amounts_joined as (

    select
        lines.*,
        coalesce(disputes.disputed_amount, 0) as disputed_amount,
        coalesce(disputes.disputed_tax_amount, 0) as disputed_tax_amount,
        coalesce(disputes.credited_on_disputes_amount, 0) as credited_on_disputes_amount,
        coalesce(disputes.expected_credit_amount, 0) as expected_credit_amount,
        -- What has come back on a credit line, or in a credit note that names no cause, is not withheld
        -- again. A bill that no agreement covers is held as a whole until somebody says what it is.
        case
            when not lines.has_agreement
                then greatest(lines.invoiced_amount - coalesce(credits.credited_amount, 0), 0)
            else greatest(
                coalesce(disputes.withheld_amount, 0)
                - coalesce(credits.credited_without_cause_amount, 0)
                - lines.credited_on_lines_amount, 0
            )
        end as withheld_amount,
        coalesce(unfooted_invoices.unfooted_invoice_count, 0) as unfooted_invoice_count,
        coalesce(credits.credited_amount, 0) as credited_amount,
        coalesce(payments.paid_amount, 0) as paid_amount
    from lines
    left join disputes
        on
            lines.billing_period_id = disputes.billing_period_id
            and lines.settlement_currency = disputes.dispute_currency
    left join credits
        on
            lines.billing_period_id = credits.billing_period_id
            and lines.settlement_currency = credits.credit_currency
    left join payments
        on
            lines.billing_period_id = payments.billing_period_id
            and lines.settlement_currency = payments.payment_currency
    left join unfooted_invoices
        on
            lines.billing_period_id = unfooted_invoices.billing_period_id
            and lines.settlement_currency = unfooted_invoices.invoice_currency

),

carrier_bills_settled as (

    select
        billing_period_id || ':' || settlement_currency as carrier_settlement_id,
        *,
        invoiced_amount - rated_amount as variance_amount,
        invoiced_amount - disputed_amount as accepted_amount,
        greatest(invoiced_amount - credited_amount - withheld_amount, 0) as payable_amount,
        greatest(credited_amount + withheld_amount - invoiced_amount, 0) as receivable_amount
    from amounts_joined

)

select * from carrier_bills_settled
