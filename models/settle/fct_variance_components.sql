with components as (

    select * from {{ ref('int_variances_bridged') }}

),

disputes as (

    select
        dispute_id,
        invoice_id,
        billing_period_id,
        cause
    from {{ ref('int_disputes_raised') }}

),

fct_variance_components as (

    select
        components.variance_component_id,
        components.invoice_line_id,
        components.carrier_id,
        components.billing_period_id,
        disputes.dispute_id,
        components.invoice_number,
        components.cause,
        cast(components.component_variance_amount as decimal(18, 6)) as component_variance_amount,
        components.invoice_currency,
        components.invoice_date
    from components
    left join disputes
        on
            components.invoice_id = disputes.invoice_id
            and components.billing_period_id = disputes.billing_period_id
            and components.cause = disputes.cause

)

select * from fct_variance_components
