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

),

invoices as (

    select distinct
        carrier_id,
        invoice_number,
        invoice_currency
    from {{ ref('stg_carrier_invoices__native') }}
    where refusal_reason is null

),

-- A credit note waits here until its invoice is known; then it counts by itself.
credits_unmatched as (

    select
        'credit_notes' as kind,
        credit_notes.feed,
        credit_notes.file_id,
        'invoice_unknown_in_this_currency' as refusal_reason,
        credit_notes.record_number,
        credit_notes.loaded_at
    from {{ ref('stg_credit_notes__native') }} as credit_notes
    left join invoices
        on
            credit_notes.carrier_id = invoices.carrier_id
            and credit_notes.invoice_number = invoices.invoice_number
            and credit_notes.credit_currency = invoices.invoice_currency
    where credit_notes.refusal_reason is null and invoices.invoice_number is null

)

select * from rows_refused
union all
select * from credits_unmatched
