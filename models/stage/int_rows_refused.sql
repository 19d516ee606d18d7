-- One row per record of a file that was read but not understood. With ingest.quarantine (rows that could not
-- even be read) this is everything that landed and does not settle.
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

rows_refused as (

    {% for kind, model in staged %}
        select
            '{{ kind }}' as kind,
            feed,
            file_id,
            refusal_reason,
            record_number,
            loaded_at
        from {{ ref(model) }}
        where refusal_reason is not null
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from rows_refused
