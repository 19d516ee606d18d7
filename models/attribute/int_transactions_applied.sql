-- One row per marked event by which the usage groups were made. Kept for the next run, which makes the groups
-- of its day again where its mark is another one.
-- depends_on: {{ ref('int_usage_aggregated') }}
select
    event_id,
    {{ transaction_mark() }} as mark
from {{ ref('int_transactions_marked') }}
