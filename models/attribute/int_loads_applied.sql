-- One row per load whose usage records are rated: a file, or a part of its quarantine that was tried again.
-- Kept for the next run, which rates what came since.
-- depends_on: {{ ref('int_usage_aggregated') }}
select distinct
    feed,
    file_id,
    loaded_at
from {{ ref('int_events_collected') }}
