-- Fails if a row that ingest loaded is in no staging model, or in two: its event, line, rate or credit would
-- be settled never, or twice.
{{ config(meta={'dagster': {'ref': {'name': 'stg_ingest__files', 'package': 'tollgate'}}}) }}
-- A row with a column for each currency is many rates.
{% set staged_counts = {
    'int_events_collected': 'count(*)',
    'int_deck_rows_collected': 'count(*)',
    'int_invoice_lines_collected': 'count(*)',
    'int_cdrs_collected': 'count(*)',
    'int_credit_notes_collected': 'count(*)',
    'int_participants_collected': 'count(*)',
    'int_dispute_events_collected': 'count(*)',
    'int_payments_collected': 'count(*)',
    'int_exchange_rates_collected': 'count(distinct record_number)',
    'stg_networks__mcc_mnc': 'count(*)',
    'stg_usage_summaries__twilio_usage_records': 'count(*)',
} %}

with

loaded as (

    select
        file_id,
        loaded_count
    from {{ ref('stg_ingest__files') }}
    where outcome = 'loaded'

),

staged_by_model as (

    {% for model, staged_count in staged_counts.items() %}
        select
            file_id,
            {{ staged_count }} as staged_count
        from {{ ref(model) }}
        group by file_id
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

staged as (

    select
        file_id,
        sum(staged_count) as staged_count
    from staged_by_model
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
