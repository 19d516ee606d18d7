-- One row per call that both sides list under the same numbers at the same time, where no id said so
-- before.
{% set pairs_by_id = ref('int_call_ids_paired') %}
with

calls_without_pair as (

    select
        is_ours,
        call_number,
        listed_number,
        calling_key,
        numbers_key as run_key,
        at_ms,
        duration_ms
    from {{ ref('int_calls_aligned') }}
    where
        numbers_key is not null
        and call_number not in (select pairs.event_number from {{ pairs_by_id }} as pairs)
        and call_number not in (select pairs.cdr_number from {{ pairs_by_id }} as pairs)

),

{{ pair_calls('calls_without_pair', var('call_start_tolerance_seconds') * 1000) }}

select * from pairs_found
