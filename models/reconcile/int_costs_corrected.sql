-- One row per rated usage group with its cost after reconciliation: its part of what we accept of the
-- invoice line that covers it, by rated cost, to a millionth; the rated cost itself where no line covers it
-- yet. The parts of a line add up to its accepted amount.
with

costs as (

    select
        usage_groups.usage_group_id,
        usage_groups.rated_cost_currency,
        usage_groups.rated_cost_amount,
        expected.invoice_line_id
    from {{ ref('int_usage_aggregated') }} as usage_groups
    inner join {{ ref('int_costs_expected') }} as expected
        on
            usage_groups.carrier_id = expected.carrier_id
            and usage_groups.agreement_id = expected.agreement_id
            and usage_groups.service = expected.service
            and usage_groups.direction = expected.direction
            and usage_groups.destination_id = expected.destination_id
            and usage_groups.destination_name = expected.destination_name
            and usage_groups.quantity_unit = expected.quantity_unit
            and usage_groups.rate_amount = expected.rate_amount
            and usage_groups.rate_per_quantity = expected.rate_per_quantity
            and usage_groups.connect_fee_amount = expected.connect_fee_amount
            and usage_groups.rated_cost_currency = expected.rated_cost_currency
            and usage_groups.is_rounded_per_event = expected.is_rounded_per_event
            and usage_groups.carrier_local_date = expected.carrier_local_date
    where usage_groups.rating_status = 'rated'

),

disputed as (

    select
        invoice_line_id,
        cast(sum(component_variance_amount) as {{ exact_amount() }}) as disputed_amount
    from {{ ref('int_variances_disputed') }}
    group by invoice_line_id

),

accepted_lines as (

    select
        invoice_lines.invoice_line_id,
        invoice_lines.invoice_currency,
        invoice_lines.invoiced_amount - coalesce(disputed.disputed_amount, 0) as accepted_amount
    from {{ ref('int_invoice_lines_matched') }} as invoice_lines
    left join disputed
        on invoice_lines.invoice_line_id = disputed.invoice_line_id
    where invoice_lines.is_invoiced and invoice_lines.line_type = 'usage'

),

costs_covered as (

    select
        costs.usage_group_id,
        costs.rated_cost_amount,
        accepted_lines.invoice_line_id,
        accepted_lines.invoice_currency,
        {{ round_money('accepted_lines.accepted_amount', 6, "'half_up'") }} as accepted_amount
    from costs
    inner join accepted_lines
        on costs.invoice_line_id = accepted_lines.invoice_line_id

),

costs_allocated as (

    {{ allocate(
        source='costs_covered', total='accepted_amount', weight='rated_cost_amount',
        group_by='invoice_line_id', tie_break='usage_group_id', decimals=6, into='corrected_cost_amount'
    ) }}

),

costs_corrected as (

    select
        costs.usage_group_id,
        coalesce(costs_allocated.invoice_currency, costs.rated_cost_currency) as corrected_cost_currency,
        coalesce(costs_allocated.corrected_cost_amount, costs.rated_cost_amount) as corrected_cost_amount
    from costs
    left join costs_allocated
        on costs.usage_group_id = costs_allocated.usage_group_id

)

select * from costs_corrected
