-- One row per row of a credit note, judged against everything that landed: a note that two feeds bring is
-- money only once (the feed that brought it last counts, whole), and a note waits until its invoice is known.
with

notes_ranked as (

    select
        *,
        first_value(feed) over (
            partition by carrier_id, credit_note_number, refusal_reason is null
            order by loaded_at desc, feed asc
        ) as last_feed
    from {{ ref('int_credit_notes_collected') }}

),

invoices as (

    select distinct
        carrier_id,
        invoice_number,
        invoice_currency
    from {{ ref('int_invoice_lines_collected') }}
    where refusal_reason is null

),

credit_notes_judged as (

    select
        notes_ranked.feed,
        notes_ranked.carrier_id,
        notes_ranked.credit_note_number,
        notes_ranked.invoice_number,
        notes_ranked.cause,
        notes_ranked.credit_currency,
        case
            when notes_ranked.refusal_reason is not null then notes_ranked.refusal_reason
            when notes_ranked.feed != notes_ranked.last_feed then 'credit_note_in_another_feed'
            when invoices.invoice_number is null then 'invoice_unknown_in_this_currency'
        end as refusal_reason,
        notes_ranked.credit_amount,
        notes_ranked.issue_date,
        notes_ranked.loaded_at,
        notes_ranked.file_id,
        notes_ranked.record_number
    from notes_ranked
    left join invoices
        on
            notes_ranked.carrier_id = invoices.carrier_id
            and notes_ranked.invoice_number = invoices.invoice_number
            and notes_ranked.credit_currency = invoices.invoice_currency

)

select * from credit_notes_judged
