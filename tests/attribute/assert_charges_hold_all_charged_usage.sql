-- Fails if the lines of a plan and month hold another quantity, or other events, than were charged to the
-- partner, at any step from the usage groups to the statement: usage would be given away, or charged twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges_priced', 'package': 'tollgate'}}}) }}
with

steps as (

    select
        'groups' as step,
        partner_agreement_id,
        plan_id,
        {{ month_of('partner_local_date') }} as period_start_date,
        event_count,
        charged_quantity
    from {{ ref('int_usage_aggregated') }}
    where charge_status = 'charged'
    union all
    select
        'metered' as step,
        partner_agreement_id,
        plan_id,
        period_start_date,
        event_count,
        charged_quantity
    from {{ ref('int_usage_metered') }}
    union all
    select
        'lines' as step,
        partner_agreement_id,
        plan_id,
        period_start_date,
        event_count,
        charged_quantity
    from {{ ref('int_charge_lines_priced') }}
    where is_last_reading
    union all
    -- A row of a statement shows the quantity after conversion and what is free.
    select
        'statement' as step,
        partner_agreement_id,
        plan_id,
        period_start_date,
        event_count,
        0 as charged_quantity
    from {{ ref('int_charges_priced') }}
    where plan_id is not null

),

steps_summed as (

    select
        partner_agreement_id,
        plan_id,
        period_start_date,
        sum(case when step = 'groups' then event_count else 0 end) as used_events,
        sum(case when step = 'metered' then event_count else 0 end) as metered_events,
        sum(case when step = 'lines' then event_count else 0 end) as line_events,
        sum(case when step = 'statement' then event_count else 0 end) as stated_events,
        sum(case when step = 'groups' then charged_quantity else 0 end) as used_quantity,
        sum(case when step = 'metered' then charged_quantity else 0 end) as metered_quantity,
        sum(case when step = 'lines' then charged_quantity else 0 end) as line_quantity
    from steps
    group by partner_agreement_id, plan_id, period_start_date

)

select *
from steps_summed
where
    used_events != metered_events
    or used_events != line_events
    or used_events != stated_events
    or used_quantity != metered_quantity
    or used_quantity != line_quantity
