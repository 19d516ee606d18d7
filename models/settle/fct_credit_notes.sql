with fct_credit_notes as (

    select
        credit_match_id,
        carrier_id,
        credit_note_number,
        invoice_id,
        cause,
        dispute_id,
        matched_by,
        refusal_reason,
        cast(credit_amount as decimal(18, 6)) as credit_amount,
        cast(part_amount as decimal(18, 6)) as part_amount,
        credit_currency,
        issue_date
    from {{ ref('int_credits_matched') }}

)

select * from fct_credit_notes
