-- Fails if a staged record is neither accepted nor listed as refused, or both: it would vanish without
-- anybody being told.
{{ config(meta={'dagster': {'ref': {'name': 'int_rows_refused', 'package': 'tollgate'}}}) }}
{% set staged = [
    ('usage', 'int_events_collected'),
    ('rate_decks', 'int_deck_rows_collected'),
    ('carrier_invoices', 'int_invoice_lines_collected'),
    ('carrier_cdrs', 'int_cdrs_collected'),
    ('credit_notes', 'int_credit_notes_judged'),
    ('event_participants', 'int_participants_collected'),
    ('payments', 'int_payments_collected'),
    ('dispute_events', 'int_dispute_events_collected'),
    ('fx_rates', 'int_exchange_rates_collected'),
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
