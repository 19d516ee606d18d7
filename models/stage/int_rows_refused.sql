-- One row per record of a file that was read but not understood. With ingest.quarantine (rows that could not
-- even be read) this is everything that landed and does not settle.
{% set nothing = ['cast(null as ' ~ exact_amount() ~ ')', 'cast(null as string)'] %}
{% set collected = {
    'usage': ['int_events_collected', 'cast(vendor_amount as ' ~ exact_amount() ~ ')', 'vendor_currency'],
    'rate_decks': ['int_deck_rows_collected'] + nothing,
    'carrier_invoices': ['int_invoice_lines_collected', 'cast(invoiced_amount as ' ~ exact_amount() ~ ')', 'invoice_currency'],
    'carrier_cdrs': ['int_cdrs_collected', 'cast(carrier_amount as ' ~ exact_amount() ~ ')', 'carrier_currency'],
    'credit_notes': ['int_credit_notes_judged', 'cast(credit_amount as ' ~ exact_amount() ~ ')', 'credit_currency'],
    'dispute_events': ['int_dispute_events_collected', 'cast(event_amount as ' ~ exact_amount() ~ ')', 'event_currency'],
    'payments': ['int_payments_collected', 'cast(paid_amount as ' ~ exact_amount() ~ ')', 'payment_currency'],
    'fx_rates': ['int_exchange_rates_collected'] + nothing,
    'event_participants': ['int_participants_collected'] + nothing,
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

)

select * from rows_refused
