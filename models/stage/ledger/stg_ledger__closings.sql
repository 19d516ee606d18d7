with closings as (

    select * from {{ source('ledger', 'closings') }}

)

select
    closing_id,
    period_date,
    period_state,
    grace_until_date,
    closed_at,
    closed_by,
    reason
from closings
