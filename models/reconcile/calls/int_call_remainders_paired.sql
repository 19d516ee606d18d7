-- One row per call that only a closer look finds: one whose caller is not shown, or that began before the
-- carrier's clock changed on that day.
{% set calls = ref('int_calls_aligned') %}
with

pairs as (

    select * from {{ ref('int_call_ids_paired') }}
    union all
    select * from {{ ref('int_call_numbers_paired') }}

),

-- Near a change of the clock a record may have begun at either of two times: it stands here twice, and is
-- paired once.
their_calls as (

    {% for at_ms in ['at_ms', 'other_at_ms'] %}
        select
            is_ours,
            call_number,
            listed_number,
            calling_key,
            called_key as run_key,
            {{ at_ms }} as at_ms,
            duration_ms
        from {{ calls }}
        where
            not is_ours
            and called_key is not null
            and call_number not in (select pairs.cdr_number from pairs)
            {{ 'and other_at_ms != at_ms' if at_ms == 'other_at_ms' }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

our_calls as (

    select
        is_ours,
        call_number,
        listed_number,
        calling_key,
        called_key as run_key,
        at_ms,
        duration_ms
    from {{ calls }}
    where
        is_ours
        and called_key in (select their_calls.run_key from their_calls)
        and call_number not in (select pairs.event_number from pairs)

),

calls_without_pair as (

    select * from our_calls
    union all
    select * from their_calls

),

{{ pair_calls('calls_without_pair', var('call_start_tolerance_seconds') * 1000, knows_both_numbers=false) }}

select * from pairs_found
