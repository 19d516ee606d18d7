-- One row per row of a credit note, judged against everything that landed: a note that two feeds bring is
-- money only once (the feed that brought it last counts, whole), and a note waits until its invoice is known.
with

invoices as (

    select distinct
        carrier_id,
        invoice_number,
        invoice_currency
    from {{ ref('int_invoice_lines_collected') }}
    where refusal_reason is null

),

notes_matched as (

    select
        notes.*,
        coalesce(
            notes.refusal_reason,
            case when invoices.invoice_number is null then 'invoice_unknown_in_this_currency' end
        ) as own_refusal_reason
    from {{ ref('int_credit_notes_collected') }} as notes
    left join invoices
        on
            notes.carrier_id = invoices.carrier_id
            and notes.invoice_number = invoices.invoice_number
            and notes.credit_currency = invoices.invoice_currency

),

-- A copy that cannot count takes nothing from one that can.
notes_ranked as (

    select
        *,
        first_value(feed) over (
            partition by carrier_id, credit_note_number, own_refusal_reason is null
            order by loaded_at desc, feed asc
        ) as last_feed
    from notes_matched

),

credit_notes_judged as (

    select
        feed,
        carrier_id,
        credit_note_number,
        invoice_number,
        cause,
        credit_currency,
        case
            when own_refusal_reason is not null then own_refusal_reason
            when feed != last_feed then 'credit_note_in_another_feed'
        end as refusal_reason,
        credit_amount,
        issue_date,
        loaded_at,
        file_id,
        record_number
    from notes_ranked

)

select * from credit_notes_judged
