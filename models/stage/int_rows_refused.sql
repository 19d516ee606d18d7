-- One row per record of a file that was read but not understood. With ingest.quarantine (rows that could not
-- even be read) this is everything that landed and does not settle.
{% set nothing = ['cast(null as decimal(18, 8))', 'cast(null as string)'] %}
{% set collected = {
    'usage': ['int_events_collected', 'vendor_amount', 'vendor_currency'],
    'rate_decks': ['int_deck_rows_collected'] + nothing,
    'carrier_invoices': ['int_invoice_lines_collected', 'cast(invoiced_amount as decimal(18, 8))', 'invoice_currency'],
    'credit_notes': ['int_credit_notes_collected', 'cast(credit_amount as decimal(18, 8))', 'credit_currency'],
    'fx_rates': ['int_exchange_rates_collected'] + nothing,
} %}

with

rows_refused as (

    {% for kind, (model, amount, currency) in collected.items() %}
        select
            '{{ kind }}' as kind,
            feed,
            file_id,
            refusal_reason,
            {{ currency }} as at_risk_currency,
            {{ amount }} as at_risk_amount,
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
    from {{ ref('int_invoice_lines_collected') }}
    where refusal_reason is null

),

-- A credit note waits here until its invoice is known; then it counts by itself.
credits_unmatched as (

    select
        'credit_notes' as kind,
        credit_notes.feed,
        credit_notes.file_id,
        'invoice_unknown_in_this_currency' as refusal_reason,
        credit_notes.credit_currency as at_risk_currency,
        cast(credit_notes.credit_amount as decimal(18, 8)) as at_risk_amount,
        credit_notes.record_number,
        credit_notes.loaded_at
    from {{ ref('int_credit_notes_collected') }} as credit_notes
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
