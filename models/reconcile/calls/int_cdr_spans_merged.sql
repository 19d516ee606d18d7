-- One row per carrier, service, direction and stretch of time that its call records are about: a file is
-- about the hours from its first record to its last, as the carrier wrote them. Of other hours nobody can
-- say that a call is missing.
with

files as (

    select
        scope_number,
        carrier_id,
        service,
        direction,
        file_id,
        date_trunc('hour', min(started_at)) as first_at,
        date_trunc('hour', max(started_at)) + interval 1 hour as end_at
    from {{ ref('int_cdrs_deduplicated') }}
    group by scope_number, carrier_id, service, direction, file_id

),

ends_reached as (

    select
        *,
        max(end_at) over (
            partition by scope_number order by first_at, end_at, file_id
            rows between unbounded preceding and 1 preceding
        ) as reached_at
    from files

),

stretches_numbered as (

    select
        *,
        sum(case when first_at <= reached_at then 0 else 1 end) over (
            partition by scope_number order by first_at, end_at, file_id
            rows between unbounded preceding and current row
        ) as stretch_number
    from ends_reached

),

cdr_spans_merged as (

    select
        scope_number,
        carrier_id,
        service,
        direction,
        stretch_number,
        min(first_at) as first_at,
        max(end_at) as end_at
    from stretches_numbered
    group by scope_number, carrier_id, service, direction, stretch_number

)

select * from cdr_spans_merged
