-- One row per call that both sides know by one id. An id that stands several times, as of attempts, leads
-- to several pairs.
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
        calling_key,
        id_key as run_key,
        at_ms,
        duration_ms
    from {{ calls }}
    where id_key in (select ids_of_theirs.id_key from ids_of_theirs)

),

{{ pair_calls('calls_with_id', 86400000, surely_near_ms=86400000) }}

select * from pairs_found
