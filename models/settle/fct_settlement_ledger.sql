with fct_settlement_ledger as (

    select
        posting_id,
        entry_id,
        corrects_entry_id,
        party_id,
        entry_type,
        account,
        description,
        batch_number,
        debit_amount,
        credit_amount,
        currency,
        origin_period_date,
        posting_period_date,
        known_at
    from {{ ref('int_postings_proposed') }}

)

select * from fct_settlement_ledger
