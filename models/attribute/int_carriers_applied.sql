-- One row per carrier that the terms know or whose agreement they refuse, as the events were rated. Kept for
-- the next run: an unrated event says which of the two is its reason.
-- depends_on: {{ ref('int_usage_aggregated') }}
select
    carrier_id,
    is_known,
    has_refused_agreement
from {{ ref('int_carriers_resolved') }}
