-- One row per event of ours and per call record of theirs, on our clock.
with

shifts as (

    select * from {{ ref('int_clock_shifts_estimated') }}

),

calls_aligned as (

    select
        calls.is_ours,
        calls.call_number,
        calls.listed_number,
        calls.called_key,
        calls.calling_key,
        calls.numbers_key,
        calls.id_key,
        calls.started_ms - coalesce(shifts.shift_seconds, 0) * 1000 as at_ms,
        calls.started_ms - coalesce(shifts.other_shift_seconds, 0) * 1000 as other_at_ms,
        calls.duration_ms
    from {{ ref('int_calls_keyed') }} as calls
    left join shifts
        on
            calls.scope_number = shifts.scope_number
            and calls.written_date = shifts.written_date
            and not calls.is_ours

)

select * from calls_aligned
