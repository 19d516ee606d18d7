with

invoice_lines as (

    select * from {{ source('carrier_invoices', 'native') }}

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

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
        trim(description) as line_description,
        upper(trim(currency)) as invoice_currency,
        lower(trim(quantity_unit)) as quantity_unit,
        try_cast(event_count as bigint) as invoiced_event_count,
        try_cast(billed_quantity as decimal(18, 3)) as invoiced_quantity,
        try_cast(rate_amount as decimal(18, 8)) as invoiced_rate_amount,
        {{ parse_whole_number('rate_per_quantity') }} as invoiced_rate_per_quantity,
        try_cast(amount as decimal(18, 6)) as invoiced_amount,
        try_cast(invoice_total_amount as decimal(18, 6)) as invoice_total_amount,
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
    from invoice_lines

)

select
    feed,
    carrier_id,
    invoice_number,
    invoice_version,
    line_number,
    line_type,
    service,
    direction,
    destination_name,
    line_description,
    invoice_currency,
    quantity_unit,
    case
        when line_type not in ('usage', 'fee', 'tax') then 'line_type_unknown'
        when number_position > 1 then 'line_number_repeated'
        when invoice_version is null or line_number is null then 'number_unreadable'
        when invoice_date is null then 'invoice_date_unreadable'
        when billing_period_start_date is null then 'billing_period_unreadable'
        when invoiced_amount is null then 'amount_unreadable'
        when invoice_currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when line_type != 'usage' then null
        when service is null or direction is null or destination_name is null then 'destination_missing'
        when
            service_first_date is null
            or service_last_date is null
            or service_last_date < service_first_date
            then 'service_dates_unreadable'
        when quantity_unit not in ('second', 'segment', 'message') then 'quantity_unit_unknown'
        when invoiced_quantity is null or invoiced_event_count is null then 'quantity_unreadable'
        when invoiced_rate_amount is null or coalesce(invoiced_rate_per_quantity, 0) <= 0
            then 'rate_unreadable'
    end as refusal_reason,
    invoiced_event_count,
    invoiced_quantity,
    invoiced_rate_amount,
    invoiced_rate_per_quantity,
    invoiced_amount,
    invoice_total_amount,
    invoice_date,
    billing_period_start_date,
    service_first_date,
    service_last_date,
    loaded_at,
    file_id,
    record_number
from invoice_lines_read
