with components as (

    select * from {{ ref('int_variances_bridged') }}

),

disputed as (

    select * from {{ ref('int_variances_disputed') }}

),

fct_variance_components as (

    select
        components.variance_component_id,
        components.invoice_line_id,
        components.carrier_id,
        components.billing_period_id,
        disputed.dispute_id,
        components.invoice_number,
        components.cause,
        cast(components.component_variance_amount as decimal(18, 6)) as component_variance_amount,
        components.invoice_currency,
        components.invoice_date
    from components
    left join disputed
        on components.variance_component_id = disputed.variance_component_id

)

select * from fct_variance_components
