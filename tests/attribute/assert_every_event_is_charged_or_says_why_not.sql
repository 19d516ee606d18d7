-- Fails if an event is attributed never or twice, is charged without partner, agreement or plan, or is
-- uncharged without a reason: a partner would be charged twice, or for nothing, or not at all.
{{ config(meta={'dagster': {'ref': {'name': 'int_events_attributed', 'package': 'tollgate'}}}) }}
with

attributions_counted as (

    select
        events.event_id,
        count(attributed.event_id) as attribution_count
    from {{ ref('int_events_rated') }} as events
    left join {{ ref('int_events_attributed') }} as attributed
        on events.event_id = attributed.event_id
    group by events.event_id

)

select
    event_id,
    'not attributed exactly once' as violation
from attributions_counted
where attribution_count != 1

union all

select
    event_id,
    'charged without partner, agreement or plan' as violation
from {{ ref('int_events_attributed') }}
where
    charge_status = 'charged'
    and (partner_id is null or partner_agreement_id is null or plan_id is null)

union all

select
    event_id,
    'a charged quantity without being charged' as violation
from {{ ref('int_events_attributed') }}
where charge_status != 'charged' and charged_quantity != 0

union all

select
    event_id,
    'uncharged without a reason, or a reason without being uncharged' as violation
from {{ ref('int_events_attributed') }}
where (charge_status = 'uncharged') != (uncharged_reason is not null)
