with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'carrier_invoices' and feed = 'ubl'

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

-- Allowances, charges and taxes of the whole document are lines of the invoice too: only together they add
-- up to its total.
invoice_lines as (

    select
        *,
        case
            when element = 'TaxSubtotal' then 'tax'
            when element = 'InvoiceLine' and service is not null and direction is not null then 'usage'
            else 'fee'
        end as line_type,
        case element
            when 'InvoiceLine' then line_amount
            when 'AllowanceCharge' then allowance_amount
            else tax_amount
        end as amount_text,
        case element
            when 'InvoiceLine' then line_currency
            when 'AllowanceCharge' then allowance_currency
            else tax_currency
        end as amount_currency,
        case
            when element != 'AllowanceCharge' or charge_indicator in ('true', '1') then 1
            when charge_indicator in ('false', '0') then -1
        end as charge_sign,
        coalesce(rate_per_quantity, '1') as rate_per_text,
        coalesce(rate_code, quantity_code) as rate_per_code,
        min(line_start_date) over (partition by _file_id) as first_line_start_date
    from {{ source('carrier_invoices', 'ubl') }}

),

invoice_lines_written as (

    select
        invoice_lines.*,
        {{ number_written('invoice_lines.amount_text', 'declared.decimal_mark') }}
        * cast(invoice_lines.charge_sign * declared.money_sign as decimal(1, 0)) as amount_written,
        {{ number_written('invoice_lines.invoice_total_amount', 'declared.decimal_mark') }}
        * cast(declared.money_sign as decimal(1, 0)) as total_written,
        {{ number_written('invoice_lines.event_count', 'declared.decimal_mark') }} as event_count_written,
        {{ number_written('invoice_lines.rate_amount', 'declared.decimal_mark') }} as rate_written,
        -- A minute is sixty seconds, exactly.
        {{ number_written('invoice_lines.quantity', 'declared.decimal_mark') }}
        * cast(case when invoice_lines.quantity_code = 'MIN' then 60 else 1 end as decimal(2, 0))
            as quantity_written,
        {{ number_written('invoice_lines.rate_per_text', 'declared.decimal_mark') }}
        * cast(case when invoice_lines.rate_per_code = 'MIN' then 60 else 1 end as decimal(2, 0))
            as rate_per_written
    from invoice_lines
    cross join declared

),

invoice_lines_read as (

    select
        'ubl' as feed,
        trim(carrier_id) as carrier_id,
        invoice_number,
        -- The format knows no versions: of files with one invoice number the newest counts whole.
        1 as invoice_version,
        -- An identifier may be any text, and only the lines have one. What has no whole number of its own is
        -- numbered behind, by its place in the file.
        case
            when {{ parse_whole_number('line_id') }} < 1000000 then {{ parse_whole_number('line_id') }}
            else cast(1000000 + _record_number as integer)
        end as line_number,
        line_type,
        lower(service) as service,
        lower(direction) as direction,
        case when line_type = 'usage' then item_name end as destination_name,
        cast(null as string) as dial_code,
        case element
            when 'InvoiceLine' then coalesce(item_description, item_name)
            when 'AllowanceCharge' then allowance_reason
            else tax_category || ' ' || tax_percent || ' %'
        end as line_description,
        case
            when line_type != 'fee' then null
            when element = 'InvoiceLine' then trim(item_name)
            else trim(allowance_reason)
        end as fee_name,
        upper(coalesce(amount_currency, document_currency)) as invoice_currency,
        upper(document_currency) as document_currency,
        invoice_type_code,
        case
            when line_type != 'usage' then null
            when quantity_code in ('SEC', 'MIN') then 'second'
            when quantity_code in ('C62', 'EA') and lower(service) = 'sms' then 'segment'
            when quantity_code in ('C62', 'EA') and lower(service) = 'email' then 'message'
            when quantity is null then quantity_code
            else coalesce(quantity_code, 'none')
        end as quantity_unit,
        amount_written,
        total_written,
        event_count_written,
        quantity_written,
        rate_written,
        case when line_type = 'usage' then try_cast(event_count_written as bigint) end
            as invoiced_event_count,
        case when line_type = 'usage' then try_cast(quantity_written as decimal(18, 3)) end
            as invoiced_quantity,
        case when line_type = 'usage' then try_cast(rate_written as decimal(18, 8)) end
            as invoiced_rate_amount,
        -- A rate per minute fits seconds, a rate per piece does not.
        case
            when
                line_type = 'usage'
                and quantity_code in ('SEC', 'MIN') = rate_per_code in ('SEC', 'MIN')
                and rate_per_written = try_cast(rate_per_written as integer)
                then try_cast(rate_per_written as integer)
        end as invoiced_rate_per_quantity,
        try_cast(amount_written as decimal(18, 6)) as invoiced_amount,
        -- With tax. What was prepaid, or is rounded for payment, changes the payment and not the invoice.
        try_cast(total_written as decimal(18, 6)) as invoice_total_amount,
        invoice_total_amount as invoice_total_text,
        event_count as event_count_text,
        quantity as quantity_text,
        rate_amount as rate_text,
        try_cast(issue_date as date) as invoice_date,
        try_cast(coalesce(period_start_date, line_start_date, first_line_start_date) as date)
            as billing_period_start_date,
        case
            when line_type = 'usage'
                then try_cast(coalesce(service_first_date, line_start_date, period_start_date) as date)
        end as service_first_date,
        case
            when line_type = 'usage'
                then try_cast(coalesce(service_last_date, line_end_date, period_end_date) as date)
        end as service_last_date,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from invoice_lines_written

),

positions_numbered as (

    select
        *,
        row_number() over (partition by file_id, line_number order by record_number) as number_position
    from invoice_lines_read

)

select
    *,
    case
        -- UNTDID 1001: credit notes, whose positive amounts are money back.
        when invoice_type_code in ('81', '83', '261', '262', '296', '308', '381', '396', '420', '458', '532')
            then 'credit_note_as_invoice'
        -- Such as the tax once more in the currency of the tax office.
        when invoice_currency != document_currency then 'amount_in_another_currency'
        else {{ invoice_line_refusal_reason(
            'invoice_currency in (select known_currencies.currency_code from known_currencies)'
        ) }}
    end as refusal_reason
from positions_numbered
