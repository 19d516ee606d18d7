-- One row per commitment and stretch of months that it is about: what we committed to use of a carrier (a fee
-- of its terms), and what a partner committed to be charged (the minimum of a plan), with what is used of it
-- so far and what is due for the rest. Where both sides of one party commit at a time, that is a swap deal.
with

committed_by_us as (

    select
        carrier_fee_id || ':' || {{ month_name_of('period_start_date') }} as commitment_id,
        carrier_id as party_id,
        'us' as committed_by,
        agreement_id,
        cast(null as string) as plan_id,
        fee_name,
        service,
        direction,
        country_code,
        case when fee_kind = 'minimum_quantity' then quantity_unit end as quantity_unit,
        committed_quantity,
        case when fee_kind = 'minimum_quantity' then used_quantity end as used_quantity,
        case when committed_quantity is not null then greatest(committed_quantity - used_quantity, 0) end
            as left_quantity,
        committed_amount,
        case when fee_kind = 'minimum_amount' then used_amount end as used_amount,
        case when committed_amount is not null then greatest(committed_amount - used_amount, 0) end
            as left_amount,
        case
            when fee_kind = 'minimum_amount' then greatest(committed_amount - used_amount, 0)
            else {{ divide_and_round(
                multiply_exactly('greatest(committed_quantity - used_quantity, 0)', 'fee_amount'),
                'fee_per_quantity', 12, "'half_up'"
            ) }}
        end as shortfall_amount,
        fee_currency as commitment_currency,
        is_over,
        held_first_date as first_date,
        held_end_date as end_date,
        period_start_date
    from {{ ref('int_commitments_counted') }}

),

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

-- The lines of a plan that has groups, or goes by the day, are committed to one by one.
plans_summed as (

    select
        plan_id,
        partner_id,
        partner_agreement_id,
        charge_currency,
        is_over,
        sum(committed_amount) as committed_amount,
        sum(counted_amount) as used_amount,
        sum(below_commitment_amount) as left_amount,
        sum(case when trues_up then below_commitment_amount else 0 end) as shortfall_amount,
        period_start_date
    from {{ ref('int_charge_lines_priced') }}
    where is_last_reading and committed_amount is not null
    group by plan_id, partner_id, partner_agreement_id, charge_currency, is_over, period_start_date

),

committed_by_partners as (

    select
        plans_summed.partner_agreement_id || ':' || {{ month_name_of('plans_summed.period_start_date') }}
        || ':' || plans_summed.plan_id as commitment_id,
        plans_summed.partner_id as party_id,
        'partner' as committed_by,
        plans_summed.partner_agreement_id as agreement_id,
        plans_summed.plan_id,
        cast(null as string) as fee_name,
        plans.service,
        plans.direction,
        nullif(plans.country_code, '*') as country_code,
        cast(null as string) as quantity_unit,
        cast(null as decimal(18, 3)) as committed_quantity,
        cast(null as decimal(18, 3)) as used_quantity,
        cast(null as decimal(18, 3)) as left_quantity,
        plans_summed.committed_amount,
        plans_summed.used_amount,
        plans_summed.left_amount,
        plans_summed.shortfall_amount,
        plans_summed.charge_currency as commitment_currency,
        plans_summed.is_over,
        plans_summed.period_start_date as first_date,
        {{ next_month_of('plans_summed.period_start_date') }} as end_date,
        plans_summed.period_start_date
    from plans_summed
    inner join plans
        on plans_summed.plan_id = plans.plan_id

),

commitments as (

    select * from committed_by_us
    union all
    select * from committed_by_partners

),

swaps as (

    select distinct commitments.commitment_id
    from commitments
    inner join commitments as answers
        on
            commitments.party_id = answers.party_id
            and commitments.committed_by != answers.committed_by
            and commitments.first_date < answers.end_date
            and commitments.end_date > answers.first_date

),

fct_commitments as (

    select
        commitments.commitment_id,
        commitments.party_id,
        commitments.committed_by,
        commitments.agreement_id,
        commitments.plan_id,
        commitments.fee_name,
        commitments.service,
        commitments.direction,
        commitments.country_code,
        commitments.quantity_unit,
        cast(commitments.committed_quantity as decimal(38, 3)) as committed_quantity,
        cast(commitments.used_quantity as decimal(38, 3)) as used_quantity,
        cast(commitments.left_quantity as decimal(38, 3)) as left_quantity,
        cast(commitments.committed_amount as {{ exact_amount() }}) as committed_amount,
        cast(commitments.used_amount as {{ exact_amount() }}) as used_amount,
        cast(commitments.left_amount as {{ exact_amount() }}) as left_amount,
        cast(commitments.shortfall_amount as {{ exact_amount() }}) as shortfall_amount,
        commitments.commitment_currency,
        commitments.is_over,
        swaps.commitment_id is not null as is_swap,
        commitments.first_date,
        commitments.end_date,
        commitments.period_start_date
    from commitments
    left join swaps
        on commitments.commitment_id = swaps.commitment_id

)

select * from fct_commitments
