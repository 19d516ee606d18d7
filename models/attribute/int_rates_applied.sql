-- One row per price of a code and interval by which the events are rated. Kept for the next run, which rates
-- again what a price touches that came, went or changed its interval since. A price itself never changes: it
-- is a row of a file.
-- depends_on: {{ ref('int_usage_aggregated') }}
select
    rate_row_id,
    deck_row_id,
    carrier_id,
    service,
    direction,
    dial_code,
    mcc,
    mnc,
    origin_code,
    is_refused,
    applies_from_at,
    applies_until_at
from {{ ref('int_rates_resolved') }}
