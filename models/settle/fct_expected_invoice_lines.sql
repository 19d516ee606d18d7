with fct_expected_invoice_lines as (

    select
        expected_line_id,
        carrier_id,
        billing_period_id,
        line_type,
        service,
        direction,
        destination_id,
        destination_name,
        fee_name,
        service_first_date,
        service_last_date,
        cast(event_count as bigint) as event_count,
        cast(billed_quantity as decimal(18, 3)) as billed_quantity,
        quantity_unit,
        cast(rate_amount as decimal(18, 8)) as rate_amount,
        cast(rate_per_quantity as integer) as priced_per_quantity,
        cast(connect_fee_amount as decimal(18, 8)) as connect_fee_amount,
        cast(expected_amount as decimal(18, 6)) as expected_amount,
        expected_currency,
        period_start_date
    from {{ ref('int_invoice_lines_expected') }}

)

select * from fct_expected_invoice_lines
