-- Fails if calls leave a line for a shorter dial code and do not arrive on exactly one other line of the same
-- carrier and month: the plus and the minus of DIAL_CODE would be about other calls.
{{ config(meta={'dagster': {'ref': {'name': 'int_usage_recounted', 'package': 'tollgate'}}}) }}
select
    carrier_policy_id,
    sum(case when end_step = 3 and is_counted_in_period then event_count else 0 end) as left_count,
    sum(case when first_step = 3 then event_count else 0 end) as arrived_count
from {{ ref('int_usage_recounted') }}
group by carrier_policy_id
having
    sum(case when end_step = 3 and is_counted_in_period then event_count else 0 end)
    != sum(case when first_step = 3 then event_count else 0 end)
