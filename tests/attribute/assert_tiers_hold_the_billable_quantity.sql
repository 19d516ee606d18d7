-- Fails if the tiers of a line hold another quantity than is billable after conversion, rounding and what is
-- free, or are divided by different numbers: usage between two tiers would be free, or priced twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_tiers_priced', 'package': 'tollgate'}}}) }}
with

tiers_summed as (

    select
        charge_line_id,
        reading_date,
        plan_id,
        sum(part_units) as part_units,
        max(billable_units) as billable_units,
        count(distinct price_per) as divisor_count,
        count(distinct quantity_per) as quantity_divisor_count
    from {{ ref('int_tiers_priced') }}
    group by charge_line_id, reading_date, plan_id

)

select tiers_summed.*
from tiers_summed
inner join {{ ref('int_plans_resolved') }} as terms
    on tiers_summed.plan_id = terms.plan_id and terms.refusal_reason is null
where
    tiers_summed.divisor_count != 1
    or tiers_summed.quantity_divisor_count != 1
    or (
        not coalesce(terms.prorates_quantity, false)
        and tiers_summed.part_units != coalesce(tiers_summed.billable_units, tiers_summed.part_units)
    )
