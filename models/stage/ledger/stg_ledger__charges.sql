with charges as (

    select * from {{ source('ledger', 'charges') }}

)

select
    charge_posting_id,
    charge_line_id,
    partner_id,
    partner_agreement_id,
    plan_id,
    posting_date,
    batch_number,
    difference_quantity,
    difference_amount,
    charge_currency,
    period_start_date,
    known_at
from charges
