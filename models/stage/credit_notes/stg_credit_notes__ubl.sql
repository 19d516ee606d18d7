with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'credit_notes' and feed = 'ubl'

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

-- Allowances, charges and taxes of the whole document are rows too: only together they add up to the money
-- that comes back.
credit_lines as (

    select
        *,
        case element
            when 'CreditNoteLine' then line_amount
            when 'AllowanceCharge' then allowance_amount
            else tax_amount
        end as amount_text,
        case element
            when 'CreditNoteLine' then line_currency
            when 'AllowanceCharge' then allowance_currency
            else tax_currency
        end as amount_currency,
        case
            when element != 'AllowanceCharge' or charge_indicator in ('true', '1') then 1
            when charge_indicator in ('false', '0') then -1
        end as charge_sign,
        count(cause) over (partition by _file_id) > 0 as has_cause
    from {{ source('credit_notes', 'ubl') }}

),

credit_lines_written as (

    select
        credit_lines.*,
        {{ number_written('credit_lines.amount_text', 'declared.decimal_mark') }}
        * cast(credit_lines.charge_sign * declared.money_sign as decimal(1, 0)) as amount_written,
        {{ number_written('credit_lines.credit_note_total_amount', 'declared.decimal_mark') }}
        * cast(declared.money_sign as decimal(1, 0)) as total_written
    from credit_lines
    cross join declared

),

credit_lines_read as (

    select
        'ubl' as feed,
        trim(carrier_id) as carrier_id,
        credit_note_number,
        invoice_number,
        -- The tax on what was overcharged is a dispute of its own, so the tax of a credit note that answers
        -- disputes answers that one.
        case when element = 'TaxSubtotal' and has_cause then 'TAX' else upper(cause) end as cause,
        upper(coalesce(amount_currency, document_currency)) as credit_currency,
        upper(document_currency) as document_currency,
        amount_written,
        total_written,
        try_cast(amount_written as decimal(18, 6)) as credit_amount,
        try_cast(issue_date as date) as issue_date,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from credit_lines_written

),

totals_compared as (

    select
        *,
        sum(case when credit_currency = document_currency then credit_amount end) over (partition by file_id)
        = total_written as foots
    from credit_lines_read

),

credit_lines_judged as (

    select
        *,
        case
            when invoice_number is null then 'invoice_number_missing'
            -- Several invoices arrive as a list, and nothing says which amount belongs to which.
            when invoice_number like '[%' then 'several_invoices_corrected'
            -- Such as the tax once more in the currency of the tax office.
            when credit_currency != document_currency then 'amount_in_another_currency'
            when total_written < 0 then 'money_sign_flipped'
            when not coalesce(foots, false) and credit_amount is not null then 'credit_note_unfooted'
            else {{ credit_note_refusal_reason(
                'credit_currency in (select known_currencies.currency_code from known_currencies)'
            ) }}
        end as reading_refusal_reason
    from totals_compared

),

files_ranked as (

    -- A credit note that is sent twice is money only once: of its readable files the newest counts whole,
    -- with the lines that left quarantine later.
    select
        credit_lines_judged.*,
        dense_rank() over (
            partition by
                credit_lines_judged.carrier_id, credit_lines_judged.credit_note_number,
                credit_lines_judged.reading_refusal_reason is null
            order by
                coalesce(files.loaded_at, credit_lines_judged.loaded_at) desc,
                credit_lines_judged.file_id desc
        ) as file_age
    from credit_lines_judged
    left join {{ ref('stg_ingest__files') }} as files
        on credit_lines_judged.file_id = files.file_id

)

select
    *,
    case
        when reading_refusal_reason is not null then reading_refusal_reason
        when file_age > 1 then 'credit_note_repeated'
    end as refusal_reason
from files_ranked
