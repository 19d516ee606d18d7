-- One row per carrier, billing period and currency: what was invoiced, what stands, what is disputed,
-- credited and withheld, and what is therefore to be paid, or to be got back.
with

lines as (

    select
        billing_period_id,
        carrier_id,
        agreement_id,
        invoice_currency as settlement_currency,
        period_start_date,
        max({{ add_days('invoice_date', 'payment_days') }}) as due_date,
        count(distinct invoice_id) as invoice_count,
        cast(sum(invoiced_amount) as {{ exact_amount() }}) as invoiced_amount,
        cast(sum(rated_amount) as {{ exact_amount() }}) as rated_amount,
        cast(sum(case when line_type = 'tax' then invoiced_amount else 0 end) as {{ exact_amount() }})
            as invoiced_tax_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by billing_period_id, carrier_id, agreement_id, invoice_currency, period_start_date

),

disputes as (

    select
        billing_period_id,
        carrier_id,
        dispute_currency,
        cast(sum(dispute_amount) as {{ exact_amount() }}) as disputed_amount,
        cast(sum(case when cause = 'TAX' then dispute_amount else 0 end) as {{ exact_amount() }})
            as disputed_tax_amount,
        cast(sum(case when may_withhold then open_amount else 0 end) as {{ exact_amount() }})
            as withheld_amount
    from {{ ref('int_disputes_raised') }}
    group by billing_period_id, carrier_id, dispute_currency

),

invoice_periods as (

    select distinct
        invoice_id,
        billing_period_id
    from {{ ref('int_invoice_lines_versioned') }}

),

credits as (

    select
        invoice_periods.billing_period_id,
        credit_notes.credit_currency,
        cast(sum(credit_notes.credit_amount) as {{ exact_amount() }}) as credited_amount
    from {{ ref('stg_credit_notes__native') }} as credit_notes
    inner join invoice_periods
        on credit_notes.carrier_id || ':' || credit_notes.invoice_number = invoice_periods.invoice_id
    where credit_notes.refusal_reason is null
    group by invoice_periods.billing_period_id, credit_notes.credit_currency

),

amounts_joined as (

    select
        lines.*,
        coalesce(disputes.disputed_amount, 0) as disputed_amount,
        coalesce(disputes.disputed_tax_amount, 0) as disputed_tax_amount,
        coalesce(disputes.withheld_amount, 0) as withheld_amount,
        coalesce(credits.credited_amount, 0) as credited_amount
    from lines
    left join disputes
        on
            lines.billing_period_id = disputes.billing_period_id
            and lines.settlement_currency = disputes.dispute_currency
    left join credits
        on
            lines.billing_period_id = credits.billing_period_id
            and lines.settlement_currency = credits.credit_currency

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
