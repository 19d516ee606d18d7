-- Fails if a fee counts more events, quantities or rented days in a month than there were, or an agreement's
-- fee for every number less than all of them: we would accept a surcharge twice, or dispute a right rental.
{{ config(meta={'dagster': {'ref': {'name': 'int_fees_counted', 'package': 'tollgate'}}}) }}
with

fees as (

    select
        agreement_id,
        carrier_id,
        fee_key,
        due_unit,
        period_start_date,
        sum(due_quantity) as due_quantity
    from {{ ref('int_fees_counted') }}
    where fee_kind != 'per_month' and not is_commitment
    group by agreement_id, carrier_id, fee_key, due_unit, period_start_date

),

usage_summed as (

    select
        agreement_id,
        'event' as due_unit,
        {{ month_of('carrier_local_date') }} as period_start_date,
        sum(event_count) as there_were
    from {{ ref('int_usage_aggregated') }}
    where rating_status = 'rated'
    group by agreement_id, {{ month_of('carrier_local_date') }}
    union all
    select
        agreement_id,
        billed_unit as due_unit,
        {{ month_of('carrier_local_date') }} as period_start_date,
        sum(billed_quantity) as there_were
    from {{ ref('int_usage_aggregated') }}
    where rating_status = 'rated'
    group by agreement_id, billed_unit, {{ month_of('carrier_local_date') }}

),

months as (

    select distinct
        agreement_id,
        carrier_id,
        period_start_date
    from fees

),

-- A stretch of days is its end less its beginning, whatever lies between.
rentals as (

    select
        months.agreement_id,
        months.period_start_date,
        numbers.number_id,
        {{ days_between(
            'greatest(numbers.valid_from_date, months.period_start_date, agreements.valid_from_date)',
            'least(numbers.valid_until_date, ' ~ next_month_of('months.period_start_date')
            ~ ', agreements.valid_until_date)'
        ) }} as day_count
    from months
    inner join {{ ref('stg_terms__agreements') }} as agreements
        on months.agreement_id = agreements.agreement_id
    inner join {{ ref('stg_terms__numbers') }} as numbers
        on months.carrier_id = numbers.carrier_id
    where numbers.refusal_reason is null

),

rentals_summed as (

    select
        agreement_id,
        'day' as due_unit,
        period_start_date,
        sum(day_count) as there_were
    from rentals
    where day_count > 0
    group by agreement_id, period_start_date
    union all
    select
        agreement_id,
        'month' as due_unit,
        period_start_date,
        count(distinct number_id) as there_were
    from rentals
    where day_count > 0
    group by agreement_id, period_start_date

),

most_possible as (

    select * from usage_summed
    union all
    select * from rentals_summed

),

-- Due for every number on every day: by one row that names no country and no type.
fees_for_all as (

    select
        counted.agreement_id,
        counted.fee_key,
        counted.period_start_date
    from {{ ref('int_fees_counted') }} as counted
    inner join {{ ref('stg_terms__carrier_fees') }} as terms
        on counted.carrier_fee_id = terms.carrier_fee_id
    inner join {{ ref('stg_terms__agreements') }} as agreements
        on counted.agreement_id = agreements.agreement_id
    group by counted.agreement_id, counted.fee_key, counted.period_start_date
    having
        count(*) = 1
        and max(terms.fee_kind) = 'per_number_month'
        and max(coalesce(terms.country_code, terms.number_type)) is null
        and max(greatest(terms.valid_from_date, agreements.valid_from_date)) <= counted.period_start_date
        and min(least(terms.valid_until_date, agreements.valid_until_date))
        >= {{ next_month_of('counted.period_start_date') }}

)

select
    fees.agreement_id,
    fees.fee_key,
    fees.due_unit,
    fees.period_start_date,
    fees.due_quantity,
    most_possible.there_were
from fees
left join most_possible
    on
        fees.agreement_id = most_possible.agreement_id
        and fees.due_unit = most_possible.due_unit
        and fees.period_start_date = most_possible.period_start_date
left join fees_for_all
    on
        fees.agreement_id = fees_for_all.agreement_id
        and fees.fee_key = fees_for_all.fee_key
        and fees.period_start_date = fees_for_all.period_start_date
where
    fees.due_quantity > coalesce(most_possible.there_were, 0)
    or (fees_for_all.fee_key is not null and fees.due_quantity < coalesce(most_possible.there_were, 0))
