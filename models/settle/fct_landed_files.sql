-- One row per file, or part of a packed file, that ingest has looked at: what became of it and of its
-- records.
with

refused_by_file as (

    select
        file_id,
        count(*) as refused_count
    from {{ ref('int_rows_refused') }}
    group by file_id

),

fct_landed_files as (

    select
        files.file_id,
        files.kind as feed_kind,
        files.feed as feed_name,
        files.file_name,
        files.part_name,
        files.outcome as file_status,
        files.message as failure_message,
        cast(feeds.expected_every_hours as integer) as expected_every_hours,
        cast(files.record_count as bigint) as record_count,
        cast(files.loaded_count as bigint) as loaded_count,
        cast(files.quarantined_count as bigint) as quarantined_count,
        cast(coalesce(refused_by_file.refused_count, 0) as bigint) as refused_count,
        files.loaded_at
    from {{ ref('stg_ingest__files') }} as files
    left join refused_by_file
        on files.file_id = refused_by_file.file_id
    left join {{ ref('stg_ingest__feeds') }} as feeds
        on files.kind = feeds.kind and files.feed = feeds.feed

)

select * from fct_landed_files
