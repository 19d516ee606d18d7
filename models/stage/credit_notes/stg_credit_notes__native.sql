with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

credit_notes_written as (

    select
        *,
        {{ number_written('amount') }} as amount_written
    from {{ source('credit_notes', 'native') }}

),

credit_notes_read as (

    select
        'native' as feed,
        trim(carrier_id) as carrier_id,
        trim(credit_note_number) as credit_note_number,
        trim(invoice_number) as invoice_number,
        upper(trim(cause)) as cause,
        upper(trim(currency)) as credit_currency,
        amount_written,
        try_cast(amount_written as decimal(18, 6)) as credit_amount,
        try_cast(issue_date as date) as issue_date,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from credit_notes_written

),

credit_notes_judged as (

    select
        *,
        case
            when credit_amount < 0 then 'amount_unreadable'
            else {{ credit_note_refusal_reason(
                'credit_currency in (select known_currencies.currency_code from known_currencies)'
            ) }}
        end as reading_refusal_reason
    from credit_notes_read

),

copies_numbered as (

    -- A credit note that is sent twice is money only once. Only readable copies count, and of them the
    -- latest.
    select
        *,
        row_number() over (
            partition by
                carrier_id, credit_note_number, invoice_number, cause, reading_refusal_reason is null
            order by loaded_at desc, file_id desc, record_number desc
        ) as copy_number
    from credit_notes_judged

)

select
    *,
    case
        when reading_refusal_reason is not null then reading_refusal_reason
        when copy_number > 1 then 'credit_note_repeated'
    end as refusal_reason
from copies_numbered
