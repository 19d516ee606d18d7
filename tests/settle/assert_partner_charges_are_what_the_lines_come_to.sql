-- Fails if what is booked of a line, run by run, and what this run proposes is not what the line comes to
-- now; or if the charges of a partner and month are not those of its statement: a rerun would charge twice.
{{ config(meta={'dagster': {'ref': {'name': 'fct_partner_charges', 'package': 'tollgate'}}}) }}
with

charges_summed as (

    select
        charge_line_id,
        charge_currency,
        sum(difference_amount) as charge_amount
    from {{ ref('fct_partner_charges') }}
    group by charge_line_id, charge_currency

),

lines_summed as (

    select
        charge_line_id,
        charge_currency,
        sum(charge_amount) as charge_amount
    from {{ ref('int_charges_priced') }}
    group by charge_line_id, charge_currency

),

partners_summed as (

    select
        partner_id,
        period_start_date,
        charge_currency,
        sum(difference_amount) as charge_amount
    from {{ ref('fct_partner_charges') }}
    group by partner_id, period_start_date, charge_currency

)

select
    coalesce(charges_summed.charge_line_id, lines_summed.charge_line_id) as id,
    charges_summed.charge_amount,
    lines_summed.charge_amount as expected_amount
from charges_summed
full outer join lines_summed
    on
        charges_summed.charge_line_id = lines_summed.charge_line_id
        and charges_summed.charge_currency = lines_summed.charge_currency
where coalesce(charges_summed.charge_amount, 0) != coalesce(lines_summed.charge_amount, 0)

union all

select
    coalesce(partners_summed.partner_id, statements.partner_id) as id,
    partners_summed.charge_amount,
    statements.charge_amount as expected_amount
from partners_summed
full outer join {{ ref('int_statements_totalled') }} as statements
    on
        partners_summed.partner_id = statements.partner_id
        and partners_summed.period_start_date = statements.period_start_date
        and partners_summed.charge_currency = statements.statement_currency
where coalesce(partners_summed.charge_amount, 0) != coalesce(statements.charge_amount, 0)
