with postings as (

    select * from {{ source('ledger', 'postings') }}

)

select
    posting_id,
    entry_id,
    corrects_entry_id,
    party_id,
    entry_type,
    account,
    currency,
    description,
    batch_number,
    debit_amount,
    credit_amount,
    origin_period_date,
    posting_period_date,
    known_at
from postings
