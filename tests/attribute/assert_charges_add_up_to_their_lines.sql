-- Fails if the rows of a line do not add up to what the line comes to, or those of a statement not to an
-- amount at the decimals of its agreement: a partner could not recompute what it is asked for.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges_priced', 'package': 'tollgate'}}}) }}
with

rows_summed as (

    select
        charge_line_id,
        sum(charge_amount) as charge_amount
    from {{ ref('int_charges_priced') }}
    where charge_type != 'statement_rounding'
    group by charge_line_id

),

charge_lines as (

    select
        charge_line_id,
        line_amount
    from {{ ref('int_charge_lines_priced') }}
    where is_last_reading

),

statements_summed as (

    select
        billing_period_id,
        rounding_mode,
        line_rounding_decimals,
        cast(sum(charge_amount) as {{ exact_amount() }}) as charge_amount
    from {{ ref('int_charges_priced') }}
    group by billing_period_id, rounding_mode, line_rounding_decimals

)

select
    coalesce(charge_lines.charge_line_id, rows_summed.charge_line_id) as id,
    charge_lines.line_amount as expected_amount,
    rows_summed.charge_amount
from charge_lines
full outer join rows_summed
    on charge_lines.charge_line_id = rows_summed.charge_line_id
where coalesce(charge_lines.line_amount, 0) != coalesce(rows_summed.charge_amount, 0)

union all

select
    billing_period_id as id,
    {{ round_money('charge_amount', 'line_rounding_decimals', 'rounding_mode') }} as expected_amount,
    charge_amount
from statements_summed
where charge_amount != {{ round_money('charge_amount', 'line_rounding_decimals', 'rounding_mode') }}
