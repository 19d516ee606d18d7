with quarantine as (

    select * from {{ source('ingest', 'quarantine') }}

)

select
    file_id,
    kind,
    feed,
    file_name,
    reason_code,
    coalesce(record_number, line_number) as record_number,
    at_risk_amount,
    at_risk_currency,
    loaded_at
from quarantine
