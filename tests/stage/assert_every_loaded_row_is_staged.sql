-- Fails if a row that ingest loaded is in no staging model, or in two: its event, line, rate or credit would
-- be settled never, or twice.
{{ config(meta={'dagster': {'ref': {'name': 'stg_ingest__files', 'package': 'tollgate'}}}) }}
{% set collected = [
    'int_events_collected',
    'int_deck_rows_collected',
    'int_invoice_lines_collected',
    'int_credit_notes_collected',
    'int_exchange_rates_collected',
] %}

with

loaded as (

    select
        file_id,
        loaded_count
    from {{ ref('stg_ingest__files') }}
    where outcome = 'loaded'

),

staged_rows as (

    {% for model in collected %}
        select file_id from {{ ref(model) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

staged as (

    select
        file_id,
        count(*) as staged_count
    from staged_rows
    group by file_id

)

select
    coalesce(loaded.file_id, staged.file_id) as file_id,
    coalesce(loaded.loaded_count, 0) as loaded_count,
    coalesce(staged.staged_count, 0) as staged_count
from loaded
full outer join staged
    on loaded.file_id = staged.file_id
where coalesce(loaded.loaded_count, 0) != coalesce(staged.staged_count, 0)
