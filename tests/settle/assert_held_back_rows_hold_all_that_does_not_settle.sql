-- Fails if a row that was quarantined or refused is in no row of fct_held_back_rows, or in two, or if a
-- landed file is not in fct_landed_files: money that landed would be missing without anybody being told.
{{ config(meta={'dagster': {'ref': {'name': 'fct_held_back_rows', 'package': 'tollgate'}}}) }}

with

held_back as (

    select 'quarantined' as held_back_type from {{ ref('stg_ingest__quarantine') }}
    union all
    select 'refused' as held_back_type from {{ ref('int_rows_refused') }}

),

counted as (

    select
        held_back_type as what,
        count(*) as in_stage,
        0 as in_mart
    from held_back
    group by held_back_type
    union all
    select
        held_back_type as what,
        0 as in_stage,
        sum(row_count) as in_mart
    from {{ ref('fct_held_back_rows') }}
    group by held_back_type
    union all
    select
        'files' as what,
        count(*) as in_stage,
        0 as in_mart
    from {{ ref('stg_ingest__files') }}
    union all
    select
        'files' as what,
        0 as in_stage,
        count(*) as in_mart
    from {{ ref('fct_landed_files') }}

)

select
    what,
    sum(in_stage) as in_stage,
    sum(in_mart) as in_mart
from counted
group by what
having sum(in_stage) <> sum(in_mart)
