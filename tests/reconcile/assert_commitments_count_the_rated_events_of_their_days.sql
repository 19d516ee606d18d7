-- Fails if a commitment counts more or fewer billed units, or another cost, than the single events of its
-- days have: we would pay for usage that was there, or miss a shortfall. Costs in another currency are left
-- out.
{{ config(meta={'dagster': {'ref': {'name': 'int_commitments_counted', 'package': 'tollgate'}}}) }}
with

commitments as (

    select
        counted.carrier_fee_id,
        counted.period_start_date,
        counted.used_quantity,
        counted.used_amount,
        counted.agreement_id,
        counted.fee_kind,
        counted.fee_currency,
        counted.held_first_date,
        counted.held_end_date,
        terms.service,
        terms.direction,
        terms.country_code,
        terms.quantity_unit
    from {{ ref('int_commitments_counted') }} as counted
    inner join {{ ref('stg_terms__carrier_fees') }} as terms
        on counted.carrier_fee_id = terms.carrier_fee_id

),

events_summed as (

    select
        commitments.carrier_fee_id,
        commitments.period_start_date,
        sum(
            case
                when events.billed_unit = commitments.quantity_unit then events.billed_quantity
                when commitments.quantity_unit = 'message' and events.billed_unit = 'segment' then 1
                else 0
            end
        ) as billed_quantity,
        sum(events.rated_cost_amount) as rated_cost_amount,
        bool_and(events.rated_cost_currency = commitments.fee_currency) as is_in_one_currency
    from commitments
    inner join {{ ref('int_events_rated') }} as events
        on
            commitments.agreement_id = events.agreement_id
            and commitments.held_first_date <= events.carrier_local_date
            and commitments.held_end_date > events.carrier_local_date
            and coalesce(commitments.service = events.service, commitments.service is null)
            and coalesce(commitments.direction = events.direction, commitments.direction is null)
            and coalesce(commitments.country_code = events.country_code, commitments.country_code is null)
    where events.rating_status = 'rated'
    group by commitments.carrier_fee_id, commitments.period_start_date

)

select
    commitments.carrier_fee_id,
    commitments.period_start_date,
    commitments.used_quantity,
    commitments.used_amount,
    events_summed.billed_quantity,
    events_summed.rated_cost_amount
from commitments
left join events_summed
    on
        commitments.carrier_fee_id = events_summed.carrier_fee_id
        and commitments.period_start_date = events_summed.period_start_date
where
    (
        commitments.fee_kind = 'minimum_quantity'
        and commitments.used_quantity != coalesce(events_summed.billed_quantity, 0)
    )
    or (
        coalesce(events_summed.is_in_one_currency, true)
        and commitments.used_amount != coalesce(events_summed.rated_cost_amount, 0)
    )
