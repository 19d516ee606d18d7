-- Fails if what a commitment that is over falls short of is not what its carrier is expected to bill for it,
-- or what the partner's statement adds for it: the pages would tell of other money than is settled.
{{ config(meta={'dagster': {'ref': {'name': 'fct_commitments', 'package': 'tollgate'}}}) }}
with

shortfalls as (

    select
        agreement_id,
        period_start_date,
        coalesce(plan_id, lower(fee_name)) as commitment_name,
        sum(shortfall_amount) as amount
    from {{ ref('fct_commitments') }}
    where is_over
    group by agreement_id, period_start_date, coalesce(plan_id, lower(fee_name))

),

amounts_due as (

    select
        agreement_id,
        period_start_date,
        lower(fee_name) as commitment_name,
        sum({{ divide_and_round(
            multiply_exactly('due_quantity', 'fee_amount'), 'fee_per_quantity', 12, "'half_up'"
        ) }}) as amount
    from {{ ref('int_fees_counted') }}
    where is_commitment
    group by agreement_id, period_start_date, lower(fee_name)
    union all
    select
        partner_agreement_id as agreement_id,
        period_start_date,
        plan_id as commitment_name,
        sum(charge_amount) as amount
    from {{ ref('int_charges_priced') }}
    where charge_type = 'true_up'
    group by partner_agreement_id, period_start_date, plan_id

)

select
    coalesce(shortfalls.agreement_id, amounts_due.agreement_id) as agreement_id,
    coalesce(shortfalls.period_start_date, amounts_due.period_start_date) as period_start_date,
    coalesce(shortfalls.commitment_name, amounts_due.commitment_name) as commitment_name,
    shortfalls.amount as shortfall_amount,
    amounts_due.amount as due_amount
from shortfalls
full outer join amounts_due
    on
        shortfalls.agreement_id = amounts_due.agreement_id
        and shortfalls.period_start_date = amounts_due.period_start_date
        and shortfalls.commitment_name = amounts_due.commitment_name
-- A fee is due to eight decimals.
where abs(coalesce(shortfalls.amount, 0) - coalesce(amounts_due.amount, 0)) >= 0.00000001
