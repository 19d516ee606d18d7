with fct_disputes as (

    select
        dispute_id,
        carrier_id,
        billing_period_id,
        invoice_number,
        cause,
        raised_for,
        case
            when open_amount = 0 then 'credited'
            when credit_received_amount > 0 then 'partly_credited'
            else 'to_raise'
        end as dispute_status,
        cast(months_running as integer) as months_running,
        cast(line_count as bigint) as line_count,
        cast(event_count as bigint) as event_count,
        cast(dispute_amount as decimal(18, 6)) as dispute_amount,
        cast(credit_received_amount as decimal(18, 6)) as credit_received_amount,
        cast(open_amount as decimal(18, 6)) as open_amount,
        dispute_currency,
        may_withhold,
        invoice_date,
        raise_by_date
    from {{ ref('int_disputes_raised') }}

)

select * from fct_disputes
