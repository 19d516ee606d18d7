-- One row per carrier agreement, service and direction by whose terms the events are rated. Kept for the next
-- run, which rates again what other terms touch.
-- depends_on: {{ ref('int_usage_aggregated') }}
select * from {{ ref('int_rating_terms_resolved') }}
