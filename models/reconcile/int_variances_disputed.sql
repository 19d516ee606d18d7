-- One row per component of a variance that a dispute raises. What of a line is in dispute is decided here,
-- once.
with

components as (

    select * from {{ ref('int_variances_bridged') }}

),

disputes as (

    select * from {{ ref('int_disputes_raised') }}

),

variances_disputed as (

    select
        components.variance_component_id,
        components.invoice_line_id,
        disputes.dispute_id,
        components.invoice_currency,
        components.component_variance_amount
    from components
    inner join disputes
        on
            components.invoice_id = disputes.invoice_id
            and components.billing_period_id = disputes.billing_period_id
            and components.cause = disputes.cause

)

select * from variances_disputed
