-- One row per rating group and local day with its cost after reconciliation: its part of what we accept of
-- the invoice line that covers it, by rated cost, to a millionth; the rated cost itself where no line covers
-- it yet. The parts of a line add up to its accepted amount.
with

costs as (

    select
        rating_group_id,
        invoice_line_id,
        rated_cost_currency,
        rated_cost_amount,
        carrier_local_date
    from {{ ref('int_costs_expected') }}

),

disputed as (

    select
        invoice_line_id,
        cast(sum(claimed_variance_amount) as {{ exact_amount() }}) as disputed_amount
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
        costs.rating_group_id,
        costs.carrier_local_date,
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
        group_by='invoice_line_id', tie_break='carrier_local_date, rating_group_id', decimals=6,
        into='corrected_cost_amount'
    ) }}

),

costs_corrected as (

    select
        costs.rating_group_id,
        costs.rated_cost_amount,
        coalesce(costs_allocated.invoice_currency, costs.rated_cost_currency) as corrected_cost_currency,
        coalesce(costs_allocated.corrected_cost_amount, costs.rated_cost_amount) as corrected_cost_amount,
        costs_allocated.rating_group_id is not null as is_covered,
        costs.carrier_local_date
    from costs
    left join costs_allocated
        on
            costs.rating_group_id = costs_allocated.rating_group_id
            and costs.carrier_local_date = costs_allocated.carrier_local_date

)

select * from costs_corrected
