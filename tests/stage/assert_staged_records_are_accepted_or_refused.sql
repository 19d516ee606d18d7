-- Fails if a staged record is neither accepted nor listed as refused, or both: it would vanish without
-- anybody being told.
{{ config(meta={'dagster': {'ref': {'name': 'int_rows_refused', 'package': 'tollgate'}}}) }}
{% set staged = [
    ('usage', 'stg_usage__native'),
    ('usage', 'stg_usage__twilio_calls'),
    ('usage', 'stg_usage__twilio_messages'),
    ('rate_decks', 'stg_rate_decks__native'),
    ('rate_decks', 'stg_rate_decks__az_decimal_comma'),
    ('carrier_invoices', 'stg_carrier_invoices__native'),
    ('credit_notes', 'stg_credit_notes__native'),
    ('fx_rates', 'stg_fx_rates__native'),
] %}

with

staged as (

    {% for kind, model in staged %}
        select
            '{{ kind }}' as kind,
            feed,
            file_id,
            count(*) as staged_count,
            count(*) - count(refusal_reason) as accepted_count
        from {{ ref(model) }}
        group by feed, file_id
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

refused as (

    select
        kind,
        feed,
        file_id,
        count(*) as refused_count
    from {{ ref('int_rows_refused') }}
    group by kind, feed, file_id

)

select
    coalesce(staged.kind, refused.kind) as kind,
    coalesce(staged.file_id, refused.file_id) as file_id,
    staged.staged_count,
    staged.accepted_count,
    refused.refused_count
from staged
full outer join refused
    on
        staged.kind = refused.kind
        and staged.feed = refused.feed
        and staged.file_id = refused.file_id
where
    coalesce(staged.staged_count, 0)
    != coalesce(staged.accepted_count, 0) + coalesce(refused.refused_count, 0)
