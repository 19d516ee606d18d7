-- One row per call that both sides know by one id. An id that stands several times, as of attempts, leads
-- to several pairs. Two calls with one id that agree neither in the number called nor in their duration are
-- two calls: somebody counts from 1.
{% set calls = ref('int_calls_aligned') %}
with

ids_of_theirs as (

    select id_key from {{ calls }}
    where not is_ours and id_key is not null

),

calls_with_id as (

    select
        is_ours,
        call_number,
        listed_number,
        called_key,
        calling_key,
        id_key as run_key,
        at_ms,
        duration_ms
    from {{ calls }}
    where id_key in (select ids_of_theirs.id_key from ids_of_theirs)

),

{{ pair_calls('calls_with_id', 86400000, surely_near_ms=86400000) }},

ids_paired as (

    select pairs_found.*
    from pairs_found
    inner join calls_with_id as ours
        on pairs_found.event_number = ours.call_number and ours.is_ours
    inner join calls_with_id as theirs
        on pairs_found.cdr_number = theirs.call_number and not theirs.is_ours
    where
        coalesce(ours.called_key = theirs.called_key, true)
        or abs(ours.duration_ms - theirs.duration_ms) <= {{ var('call_duration_tolerance_seconds') * 1000 }}

)

select * from ids_paired
