-- Fails if the corrected costs and the open disputes behind an invoice line do not add up to what we
-- accept of it and to what is open of its disputes, or an expected cost has none: margins would be counted
-- from a cost that nobody pays.
{{ config(meta={'dagster': {'ref': {'name': 'int_costs_corrected', 'package': 'tollgate'}}}) }}
with

costs_counted as (

    select
        expected.rating_group_id,
        expected.carrier_local_date,
        count(distinct corrected.part_number) as corrected_count,
        count(distinct coalesce(invoice_lines.invoice_currency, 'not invoiced')) as currency_count
    from {{ ref('int_costs_expected') }} as expected
    left join {{ ref('int_invoice_lines_matched') }} as invoice_lines
        on expected.invoice_line_id = invoice_lines.invoice_line_id
    left join {{ ref('int_costs_corrected') }} as corrected
        on
            expected.rating_group_id = corrected.rating_group_id
            and expected.carrier_local_date = corrected.carrier_local_date
    group by expected.rating_group_id, expected.carrier_local_date

),

disputed as (

    select
        invoice_line_id,
        sum(claimed_variance_amount) as disputed_amount,
        sum(open_variance_amount) as open_amount
    from {{ ref('int_variances_disputed') }}
    group by invoice_line_id

),

line_costs as (

    select
        expected.invoice_line_id,
        sum(expected.rated_cost_amount) as rated_cost_amount
    from {{ ref('int_costs_expected') }} as expected
    where expected.invoice_line_id is not null
    group by expected.invoice_line_id

),

-- By currency: a line is accepted in the currency of its invoice. Where the usage behind a line cost nothing
-- there is nothing to lay its amount on.
amounts_right as (

    select
        invoice_lines.carrier_id,
        invoice_lines.invoice_currency as currency,
        invoice_lines.invoiced_amount - coalesce(disputed.disputed_amount, 0) as amount,
        coalesce(disputed.open_amount, 0) as credit_amount
    from {{ ref('int_invoice_lines_matched') }} as invoice_lines
    inner join line_costs
        on invoice_lines.invoice_line_id = line_costs.invoice_line_id
    left join disputed
        on invoice_lines.invoice_line_id = disputed.invoice_line_id
    where line_costs.rated_cost_amount > 0
    union all
    select
        carrier_id,
        rated_cost_currency as currency,
        rated_cost_amount as amount,
        0 as credit_amount
    from {{ ref('int_costs_expected') }}
    where invoice_line_id is null

),

amounts_right_summed as (

    select
        carrier_id,
        currency,
        sum(amount) as amount,
        sum(credit_amount) as credit_amount
    from amounts_right
    group by carrier_id, currency

),

corrected_summed as (

    select
        ratings.carrier_id,
        corrected.corrected_cost_currency as currency,
        sum(corrected.corrected_cost_amount) as corrected_cost_amount,
        sum(corrected.open_dispute_amount) as open_dispute_amount
    from {{ ref('int_costs_corrected') }} as corrected
    inner join {{ ref('int_ratings_grouped') }} as ratings
        on corrected.rating_group_id = ratings.rating_group_id
    group by ratings.carrier_id, corrected.corrected_cost_currency

)

select
    'rating group ' || cast(rating_group_id as string) || ' on ' || cast(carrier_local_date as string)
        as offender,
    currency_count as right_amount,
    corrected_count as corrected_amount
from costs_counted
where corrected_count != currency_count

union all

select
    coalesce(amounts_right_summed.carrier_id, corrected_summed.carrier_id) as offender,
    amounts_right_summed.amount as right_amount,
    corrected_summed.corrected_cost_amount as corrected_amount
from amounts_right_summed
full outer join corrected_summed
    on
        amounts_right_summed.carrier_id = corrected_summed.carrier_id
        and amounts_right_summed.currency = corrected_summed.currency
where
    coalesce(amounts_right_summed.amount, 0) != coalesce(corrected_summed.corrected_cost_amount, 0)
    or coalesce(amounts_right_summed.credit_amount, 0) != coalesce(corrected_summed.open_dispute_amount, 0)
