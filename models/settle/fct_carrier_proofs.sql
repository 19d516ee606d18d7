with fct_carrier_proofs as (

    select
        carrier_proof_id,
        carrier_id,
        billing_period_id,
        matched_grain,
        cast(line_count as bigint) as line_count,
        cast(event_line_count as bigint) as event_line_count,
        cast(event_agreed_line_count as bigint) as event_agreed_line_count,
        cast(quantity_line_count as bigint) as quantity_line_count,
        cast(quantity_agreed_line_count as bigint) as quantity_agreed_line_count,
        cast(duration_line_count as bigint) as duration_line_count,
        cast(duration_agreed_line_count as bigint) as duration_agreed_line_count,
        cast(amount_agreed_line_count as bigint) as amount_agreed_line_count,
        cast(invoiced_amount as decimal(38, 12)) as invoiced_amount,
        cast(proven_amount as decimal(38, 12)) as proven_amount,
        cast(likened_amount as decimal(38, 12)) as likened_amount,
        cast(unproven_amount as decimal(38, 12)) as unproven_amount,
        cast(unmapped_amount as decimal(38, 12)) as unmapped_amount,
        invoice_currency,
        period_start_date
    from {{ ref('int_carrier_proofs_summed') }}

)

select * from fct_carrier_proofs
