{% set unit_written = 'lower(trim(quantity_unit))' %}

with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

invoice_lines as (

    select * from {{ source('carrier_invoices', 'native') }}

),

invoice_lines_written as (

    select
        *,
        {{ number_written('amount') }} as amount_written,
        {{ number_written('invoice_total_amount') }} as total_written,
        {{ number_written('event_count') }} as event_count_written,
        {{ counted_quantity(
            number_written('billed_quantity'), unit_written, number_written('billed_quantity'), 'decimal(38, 15)'
        ) }} as quantity_written,
        {{ number_written('rate_amount') }} as rate_written
    from invoice_lines

),

invoice_lines_read as (

    select
        'native' as feed,
        trim(carrier_id) as carrier_id,
        trim(invoice_number) as invoice_number,
        {{ parse_whole_number('invoice_version') }} as invoice_version,
        {{ parse_whole_number('line_number') }} as line_number,
        lower(trim(line_type)) as line_type,
        lower(trim(service)) as service,
        lower(trim(direction)) as direction,
        trim(destination_name) as destination_name,
        trim(leading '+' from trim(dial_code)) as dial_code,
        trim(description) as line_description,
        case when lower(trim(line_type)) = 'fee' then coalesce(trim(fee_name), trim(description)) end
            as fee_name,
        upper(trim(currency)) as invoice_currency,
        {{ counted_unit(unit_written) }} as quantity_unit,
        amount_written,
        total_written,
        event_count_written,
        quantity_written,
        rate_written,
        try_cast(event_count_written as bigint) as invoiced_event_count,
        try_cast(quantity_written as decimal(18, 3)) as invoiced_quantity,
        try_cast(rate_written as decimal(18, 8)) as invoiced_rate_amount,
        {{ counted_quantity(
            parse_whole_number('rate_per_quantity'), unit_written,
            'cast(' ~ parse_whole_number('rate_per_quantity') ~ ' as bigint)', 'integer'
        ) }} as invoiced_rate_per_quantity,
        try_cast(amount_written as decimal(18, 6)) as invoiced_amount,
        try_cast(total_written as decimal(18, 6)) as invoice_total_amount,
        invoice_total_amount as invoice_total_text,
        event_count as event_count_text,
        billed_quantity as quantity_text,
        rate_amount as rate_text,
        try_cast(invoice_date as date) as invoice_date,
        try_cast(billing_period_start_date as date) as billing_period_start_date,
        try_cast(service_first_date as date) as service_first_date,
        try_cast(service_last_date as date) as service_last_date,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number,
        row_number() over (
            partition by
                _file_id, trim(carrier_id), trim(invoice_number), trim(invoice_version), trim(line_number)
            order by _record_number
        ) as number_position
    from invoice_lines_written

),

invoice_lines_judged as (

    select
        *,
        {{ invoice_line_refusal_reason(
            'invoice_currency in (select known_currencies.currency_code from known_currencies)'
        ) }} as reading_refusal_reason
    from invoice_lines_read

),

currencies_compared as (

    select
        *,
        min(case when reading_refusal_reason is null then invoice_currency end) over (
            partition by file_id, carrier_id, invoice_number, invoice_version
        ) as first_currency,
        max(case when reading_refusal_reason is null then invoice_currency end) over (
            partition by file_id, carrier_id, invoice_number, invoice_version
        ) as last_currency
    from invoice_lines_judged

)

select
    *,
    case
        when reading_refusal_reason is not null then reading_refusal_reason
        -- Its total, its tax and what is disputed of it are of one currency, and nobody says which: none of
        -- its lines is used.
        when first_currency != last_currency then 'invoice_in_several_currencies'
    end as refusal_reason
from currencies_compared
