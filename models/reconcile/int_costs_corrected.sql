-- One row per rating group, local day and way in which its cost is known after reconciliation: its part of
-- what we accept of the invoice lines that cover it, by rated cost, to a millionth, in the currency of the
-- invoice, and the rated cost of what no line covers yet; and its part of what is disputed and has not come
-- back, null where there is none. A day has more than one row only where its dial
-- codes stand on invoices in several currencies, or some of them on none. The parts of a line add up to its
-- accepted amount.
with

costs as (

    select
        rating_group_id,
        coalesce(dial_code, '') as dial_code,
        invoice_line_id,
        rated_cost_currency,
        rated_cost_amount,
        carrier_local_date
    from {{ ref('int_costs_expected') }}

),

disputed as (

    select
        invoice_line_id,
        cast(sum(claimed_variance_amount) as {{ exact_amount() }}) as disputed_amount,
        cast(sum(open_variance_amount) as {{ exact_amount() }}) as open_amount
    from {{ ref('int_variances_disputed') }}
    group by invoice_line_id

),

accepted_lines as (

    select
        invoice_lines.invoice_line_id,
        invoice_lines.invoice_currency,
        invoice_lines.invoiced_amount - coalesce(disputed.disputed_amount, 0) as accepted_amount,
        coalesce(disputed.open_amount, 0) as open_amount
    from {{ ref('int_invoice_lines_matched') }} as invoice_lines
    left join disputed
        on invoice_lines.invoice_line_id = disputed.invoice_line_id
    where invoice_lines.is_invoiced and invoice_lines.line_type = 'usage'

),

costs_covered as (

    select
        costs.rating_group_id,
        costs.dial_code,
        costs.carrier_local_date,
        costs.rated_cost_amount,
        accepted_lines.invoice_line_id,
        accepted_lines.invoice_currency,
        {{ round_money('accepted_lines.accepted_amount', 6, "'half_up'") }} as accepted_amount,
        {{ round_money('accepted_lines.open_amount', 6, "'half_up'") }} as open_amount
    from costs
    inner join accepted_lines
        on costs.invoice_line_id = accepted_lines.invoice_line_id

),

costs_allocated as (

    {{ allocate(
        source='costs_covered', total='accepted_amount', weight='rated_cost_amount',
        group_by='invoice_line_id', tie_break='carrier_local_date, rating_group_id, dial_code', decimals=6,
        into='corrected_cost_amount'
    ) }}

),

disputes_covered as (

    select * from costs_covered
    where open_amount != 0

),

disputes_allocated as (

    {{ allocate(
        source='disputes_covered', total='open_amount', weight='rated_cost_amount',
        group_by='invoice_line_id', tie_break='carrier_local_date, rating_group_id, dial_code', decimals=6,
        into='open_dispute_amount'
    ) }}

),

parts_corrected as (

    select
        costs.rating_group_id,
        costs.carrier_local_date,
        costs.rated_cost_amount,
        coalesce(accepted_lines.invoice_currency, costs.rated_cost_currency) as corrected_cost_currency,
        -- Where the usage behind a line cost nothing, nothing is laid on it.
        coalesce(costs_allocated.corrected_cost_amount, costs.rated_cost_amount) as corrected_cost_amount,
        disputes_allocated.open_dispute_amount,
        accepted_lines.invoice_line_id is not null as is_covered
    from costs
    left join accepted_lines
        on costs.invoice_line_id = accepted_lines.invoice_line_id
    left join costs_allocated
        on
            costs.rating_group_id = costs_allocated.rating_group_id
            and costs.carrier_local_date = costs_allocated.carrier_local_date
            and costs.dial_code = costs_allocated.dial_code
    left join disputes_allocated
        on
            costs.rating_group_id = disputes_allocated.rating_group_id
            and costs.carrier_local_date = disputes_allocated.carrier_local_date
            and costs.dial_code = disputes_allocated.dial_code

),

parts_summed as (

    select
        rating_group_id,
        carrier_local_date,
        corrected_cost_currency,
        is_covered,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as part_rated_amount,
        cast(sum(corrected_cost_amount) as {{ exact_amount() }}) as corrected_cost_amount,
        cast(sum(open_dispute_amount) as {{ exact_amount() }}) as open_dispute_amount
    from parts_corrected
    group by rating_group_id, carrier_local_date, corrected_cost_currency, is_covered

),

costs_corrected as (

    select
        rating_group_id,
        row_number() over (
            partition by rating_group_id, carrier_local_date
            order by case when is_covered then 0 else 1 end asc, corrected_cost_currency asc
        ) as part_number,
        cast(
            sum(part_rated_amount) over (partition by rating_group_id, carrier_local_date)
            as {{ exact_amount() }}
        ) as rated_cost_amount,
        corrected_cost_currency,
        corrected_cost_amount,
        open_dispute_amount,
        is_covered,
        count(*) over (partition by rating_group_id, carrier_local_date) > 1 as is_divided,
        carrier_local_date
    from parts_summed

)

select * from costs_corrected
