with files as (

    select * from {{ source('ingest', 'files') }}

)

select
    file_id,
    kind,
    feed,
    file_name,
    part_name,
    outcome,
    message,
    record_count,
    loaded_count,
    quarantined_count,
    loaded_at
from files
