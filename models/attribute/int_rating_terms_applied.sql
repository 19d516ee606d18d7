-- One row per carrier agreement, service and direction by whose terms the events are rated. Kept for the next
-- run, which rates again what other terms touch.
-- depends_on: {{ ref('int_usage_aggregated') }}
select
    agreement_id,
    carrier_id,
    service,
    direction,
    quantity_unit,
    increment_method,
    charged_on,
    quantity_rounding,
    increment_rounding_mode,
    attempt_fee_scope,
    agreement_currency,
    time_zone,
    rounding_mode,
    event_rounding_decimals,
    line_rounding_decimals,
    increment_rounding_decimals,
    tax_ratio,
    minimum_quantity,
    increment_quantity,
    free_quantity,
    attempt_fee_amount,
    valid_from_at,
    valid_until_at
from {{ ref('int_rating_terms_resolved') }}
