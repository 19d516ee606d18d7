-- Fails if a dispute claims another sum than the components of its invoice, billing period and cause, or is
-- not a claim at all: the carrier would refuse it, and rightly.
{{ config(meta={'dagster': {'ref': {'name': 'int_disputes_raised', 'package': 'tollgate'}}}) }}
with

components_summed as (

    select
        invoice_id,
        billing_period_id,
        cause,
        sum(component_variance_amount) as component_variance_amount
    from {{ ref('int_variances_bridged') }}
    group by invoice_id, billing_period_id, cause

)

select
    disputes.dispute_id,
    disputes.dispute_amount,
    components_summed.component_variance_amount
from {{ ref('int_disputes_raised') }} as disputes
left join components_summed
    on
        disputes.invoice_id = components_summed.invoice_id
        and disputes.billing_period_id = components_summed.billing_period_id
        and disputes.cause = components_summed.cause
where
    greatest(coalesce(components_summed.component_variance_amount, 0), 0) != disputes.dispute_amount
    or (disputes.dispute_amount <= 0 and disputes.raised_date is null)
