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
            as invoiced_tax_amount
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

-- What each cause of an invoice differs by, and what of it came back on lines of the invoice itself.
variances_by_cause as (

    select
        components.invoice_id,
        components.cause,
        sum(components.component_variance_amount) as variance_amount,
        sum(
            case
                when lines_matched.line_type in ('usage', 'fee') and lines_matched.invoiced_amount < 0
                    then -components.component_variance_amount
                else 0
            end
        ) as returned_on_lines_amount
    from {{ ref('int_variances_bridged') }} as components
    inner join {{ ref('int_invoice_lines_matched') }} as lines_matched
        on components.invoice_line_id = lines_matched.invoice_line_id
    group by components.invoice_id, components.cause

),

credits_by_cause as (

    select
        credit_notes.invoice_id,
        coalesce(answered.cause, credit_notes.cause, '') as cause,
        sum(credit_notes.part_amount) as credited_amount
    from {{ ref('int_credits_matched') }} as credit_notes
    left join {{ ref('int_disputes_followed') }} as answered
        on credit_notes.dispute_id = answered.dispute_id
    where credit_notes.refusal_reason is null
    group by credit_notes.invoice_id, coalesce(answered.cause, credit_notes.cause, '')

),

-- What came back beyond what its cause still differs by, or for no cause at all: a credit line of the invoice
-- that no overcharge of its cause uses up, a note without a cause, one for what we call otherwise by now.
returns as (

    select
        invoices.billing_period_id,
        invoices.invoice_currency,
        sum(coalesce(credits_by_cause.credited_amount, 0)) as credited_amount,
        sum(
            greatest(
                coalesce(credits_by_cause.credited_amount, 0)
                - greatest(coalesce(variances_by_cause.variance_amount, 0), 0), 0
            )
            + greatest(
                least(
                    coalesce(variances_by_cause.returned_on_lines_amount, 0),
                    -coalesce(variances_by_cause.variance_amount, 0)
                ), 0
            )
        ) as returned_otherwise_amount
    from variances_by_cause
    full outer join credits_by_cause
        on
            variances_by_cause.invoice_id = credits_by_cause.invoice_id
            and variances_by_cause.cause = credits_by_cause.cause
    inner join invoices
        on coalesce(variances_by_cause.invoice_id, credits_by_cause.invoice_id) = invoices.invoice_id
    group by invoices.billing_period_id, invoices.invoice_currency

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
        cast(coalesce(returns.returned_otherwise_amount, 0) as {{ exact_amount() }})
            as returned_otherwise_amount,
        -- What came back already is not withheld again. A bill that no agreement covers is held as a whole
        -- until somebody says what it is.
        cast(
            case
                when not lines.has_agreement
                    then greatest(lines.invoiced_amount - coalesce(returns.credited_amount, 0), 0)
                else greatest(
                    coalesce(disputes.withheld_amount, 0) - coalesce(returns.returned_otherwise_amount, 0), 0
                )
            end as {{ exact_amount() }}
        ) as withheld_amount,
        coalesce(unfooted_invoices.unfooted_invoice_count, 0) as unfooted_invoice_count,
        cast(coalesce(returns.credited_amount, 0) as {{ exact_amount() }}) as credited_amount,
        coalesce(payments.paid_amount, 0) as paid_amount
    from lines
    left join disputes
        on
            lines.billing_period_id = disputes.billing_period_id
            and lines.settlement_currency = disputes.dispute_currency
    left join returns
        on
            lines.billing_period_id = returns.billing_period_id
            and lines.settlement_currency = returns.invoice_currency
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
