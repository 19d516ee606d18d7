-- Fails if the causes of an invoice, or of a carrier's month, do not add up to its variance in a currency, or
-- a line that is right has a cause: a report by cause would tell another sum than one by carrier.
{{ config(meta={'dagster': {'ref': {'name': 'int_variances_bridged', 'package': 'tollgate'}}}) }}
with

line_components as (

    select
        invoice_line_id,
        count(*) as component_count,
        sum(component_variance_amount) as component_variance_amount
    from {{ ref('int_variances_bridged') }}
    group by invoice_line_id

),

invoice_components as (

    select
        invoice_id,
        invoice_currency,
        sum(component_variance_amount) as component_variance_amount
    from {{ ref('int_variances_bridged') }}
    group by invoice_id, invoice_currency

),

invoice_variances as (

    select
        invoice_id,
        invoice_currency,
        sum(invoiced_amount - rated_amount) as variance_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by invoice_id, invoice_currency

),

period_components as (

    select
        billing_period_id,
        invoice_currency,
        sum(component_variance_amount) as component_variance_amount
    from {{ ref('int_variances_bridged') }}
    group by billing_period_id, invoice_currency

),

period_variances as (

    select
        billing_period_id,
        invoice_currency,
        sum(invoiced_amount - rated_amount) as variance_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by billing_period_id, invoice_currency

)

select
    'invoice ' || coalesce(invoice_variances.invoice_id, invoice_components.invoice_id) as offender,
    invoice_variances.variance_amount,
    invoice_components.component_variance_amount
from invoice_variances
full outer join invoice_components
    on
        invoice_variances.invoice_id = invoice_components.invoice_id
        and invoice_variances.invoice_currency = invoice_components.invoice_currency
where
    coalesce(invoice_variances.variance_amount, 0)
    != coalesce(invoice_components.component_variance_amount, 0)

union all

select
    'period ' || coalesce(period_variances.billing_period_id, period_components.billing_period_id)
        as offender,
    period_variances.variance_amount,
    period_components.component_variance_amount
from period_variances
full outer join period_components
    on
        period_variances.billing_period_id = period_components.billing_period_id
        and period_variances.invoice_currency = period_components.invoice_currency
where
    coalesce(period_variances.variance_amount, 0)
    != coalesce(period_components.component_variance_amount, 0)

union all

select
    'line ' || invoice_lines.invoice_line_id as offender,
    invoice_lines.invoiced_amount - invoice_lines.rated_amount as variance_amount,
    line_components.component_variance_amount
from {{ ref('int_invoice_lines_matched') }} as invoice_lines
inner join line_components
    on invoice_lines.invoice_line_id = line_components.invoice_line_id
where
    invoice_lines.invoiced_amount = invoice_lines.rated_amount
    and line_components.component_count > 0
