with fct_carrier_settlements as (

    select
        carrier_settlement_id,
        carrier_id,
        billing_period_id,
        cast(invoice_count as bigint) as invoice_count,
        cast(unfooted_invoice_count as bigint) as unfooted_invoice_count,
        cast(invoiced_amount as decimal(18, 6)) as invoiced_amount,
        cast(rated_amount as decimal(18, 6)) as rated_amount,
        cast(variance_amount as decimal(18, 6)) as variance_amount,
        cast(accepted_amount as decimal(18, 6)) as accepted_amount,
        cast(disputed_amount as decimal(18, 6)) as disputed_amount,
        cast(withheld_amount as decimal(18, 6)) as withheld_amount,
        cast(credited_amount as decimal(18, 6)) as credited_amount,
        cast(expected_credit_amount as decimal(18, 6)) as expected_credit_amount,
        cast(paid_amount as decimal(18, 6)) as paid_amount,
        cast(payable_amount as decimal(18, 6)) as payable_amount,
        cast(receivable_amount as decimal(18, 6)) as receivable_amount,
        settlement_currency,
        has_agreement,
        period_start_date,
        due_date
    from {{ ref('int_carrier_bills_settled') }}

)

select * from fct_carrier_settlements
