-- One row per term by which the usage groups were made. Kept for the next run, which makes them all again
-- where it finds other terms.
-- depends_on: {{ ref('int_usage_aggregated') }}
select
    term_model,
    term_text
from {{ ref('int_charging_terms_resolved') }}
