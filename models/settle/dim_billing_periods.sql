with dim_billing_periods as (

    select
        billing_period_id,
        agreement_id,
        party_id,
        party_role,
        agreement_currency,
        time_zone,
        period_start_date,
        period_end_date,
        period_start_at,
        period_end_at
    from {{ ref('int_billing_periods_derived') }}

)

select * from dim_billing_periods
