with fct_accruals as (

    select
        accrual_id,
        carrier_id,
        billing_period_id,
        service,
        direction,
        fee_name,
        cast(event_count as bigint) as event_count,
        cast(accrued_amount as decimal(18, 6)) as accrued_amount,
        accrual_currency,
        period_start_date
    from {{ ref('int_accruals_estimated') }}

)

select * from fct_accruals
