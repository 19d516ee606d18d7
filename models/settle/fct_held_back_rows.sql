-- One row per feed, way of being held back, reason and currency: rows that landed and do not settle, either
-- because they could not be read (quarantined) or because they were read and not understood (refused).
with

held_back as (

    select
        kind,
        feed,
        'quarantined' as held_back_type,
        reason_code as held_back_reason,
        file_name,
        at_risk_amount,
        at_risk_currency,
        loaded_at
    from {{ ref('stg_ingest__quarantine') }}
    union all
    select
        refused.kind,
        refused.feed,
        'refused' as held_back_type,
        refused.refusal_reason as held_back_reason,
        files.file_name,
        refused.at_risk_amount,
        refused.at_risk_currency,
        refused.loaded_at
    from {{ ref('int_rows_refused') }} as refused
    left join {{ ref('stg_ingest__files') }} as files
        on refused.file_id = files.file_id

),

fct_held_back_rows as (

    select
        kind || '/' || feed || ':' || held_back_type || ':' || held_back_reason || ':'
        || coalesce(at_risk_currency, '') as held_back_row_id,
        kind as feed_kind,
        feed as feed_name,
        held_back_type,
        held_back_reason,
        min(file_name) as example_file_name,
        cast(count(*) as bigint) as row_count,
        cast(sum(at_risk_amount) as {{ exact_amount() }}) as at_risk_amount,
        at_risk_currency,
        max(loaded_at) as last_loaded_at
    from held_back
    group by kind, feed, held_back_type, held_back_reason, at_risk_currency

)

select * from fct_held_back_rows
