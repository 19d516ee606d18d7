with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

credit_notes as (

    select
        'native' as feed,
        trim(carrier_id) as carrier_id,
        trim(credit_note_number) as credit_note_number,
        trim(invoice_number) as invoice_number,
        upper(trim(cause)) as cause,
        upper(trim(currency)) as credit_currency,
        try_cast(amount as decimal(18, 6)) as credit_amount,
        try_cast(issue_date as date) as issue_date,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from {{ source('credit_notes', 'native') }}

),

copies_numbered as (

    -- A credit note that is sent twice is money only once. Only readable copies count, and of them the
    -- latest.
    select
        *,
        row_number() over (
            partition by
                carrier_id, credit_note_number, invoice_number, cause,
                coalesce(credit_amount >= 0, false) and issue_date is not null
            order by loaded_at desc, file_id desc, record_number desc
        ) as copy_number
    from credit_notes

)

select
    feed,
    carrier_id,
    credit_note_number,
    invoice_number,
    cause,
    credit_currency,
    case
        when credit_amount is null or credit_amount < 0 then 'amount_unreadable'
        when issue_date is null then 'issue_date_unreadable'
        when credit_currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when cause not in (
            'DUPLICATE', 'MISSING_OURS', 'MISSING_THEIRS', 'VOLUME', 'RATE', 'FEE', 'TAX', 'FX', 'RESIDUAL'
        ) then 'cause_unknown'
        when copy_number > 1 then 'credit_note_repeated'
    end as refusal_reason,
    credit_amount,
    issue_date,
    loaded_at,
    file_id,
    record_number
from copies_numbered
