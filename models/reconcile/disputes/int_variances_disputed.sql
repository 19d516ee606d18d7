-- One row per component of a variance that a dispute raises. What of a line is in dispute is decided here,
-- once; what is still claimed of it after answers, and what of that has not come back, are the same part of
-- each component.
with

components as (

    select * from {{ ref('int_variances_bridged') }}

),

disputes as (

    select * from {{ ref('int_disputes_followed') }}
    where dispute_amount > 0

),

-- The largest first: so the sum so far is never below zero, whatever lowers the dispute.
components_summed as (

    select
        components.variance_component_id,
        components.invoice_line_id,
        disputes.dispute_id,
        components.invoice_currency,
        components.component_variance_amount,
        disputes.dispute_amount,
        disputes.claimed_amount,
        disputes.open_amount,
        cast(sum(components.component_variance_amount) over (
            partition by disputes.dispute_id
            order by components.component_variance_amount desc, components.variance_component_id asc
            rows between unbounded preceding and current row
        ) as {{ exact_amount() }}) as until_amount
    from components
    inner join disputes
        on
            components.invoice_id = disputes.invoice_id
            and components.billing_period_id = disputes.billing_period_id
            and components.cause = disputes.cause

),

variances_disputed as (

    select
        variance_component_id,
        invoice_line_id,
        dispute_id,
        invoice_currency,
        component_variance_amount,
        case
            when claimed_amount = dispute_amount then component_variance_amount
            else
                {{ part_of_money('claimed_amount', 'until_amount', 'dispute_amount') }}
                - {{ part_of_money(
                    'claimed_amount', '(until_amount - component_variance_amount)', 'dispute_amount'
                ) }}
        end as claimed_variance_amount,
        case
            when open_amount = dispute_amount then component_variance_amount
            else
                {{ part_of_money('open_amount', 'until_amount', 'dispute_amount') }}
                - {{ part_of_money(
                    'open_amount', '(until_amount - component_variance_amount)', 'dispute_amount'
                ) }}
        end as open_variance_amount
    from components_summed

)

select * from variances_disputed
