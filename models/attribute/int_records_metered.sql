-- One row per charged event of a plan for which the sums of usage groups do not do: a plan that prices each
-- event, looks for the highest, follows what is added and taken away, goes by money, or makes a line of each
-- account or hour.
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where
        refusal_reason is null
        and (
            pricing_model in ('percentage', 'graduated_percentage', 'lines', 'capacity')
            or prorates_quantity
            or aggregate_by in ('account', 'hour')
        )

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

records_metered as (

    select
        events.event_id as record_id,
        events.partner_id,
        events.partner_agreement_id,
        events.plan_id,
        case plans.aggregate_by
            when 'account' then events.account_id
            when 'hour'
                then
                    substring(
                        cast({{ to_local('events.started_at', 'agreements.time_zone') }} as string), 1, 13
                    )
            else {{ line_key_of('plans.aggregate_by', 'events') }}
        end as line_key,
        events.charged_quantity,
        -- From its day to the end of the month.
        {{ divide_and_round(
            multiply_exactly(
                days_between('events.partner_local_date', next_month_of('events.partner_local_date')),
                'events.charged_quantity'
            ),
            days_between(
                month_of('events.partner_local_date'), next_month_of('events.partner_local_date')
            ),
            8, "'half_up'"
        ) }} as prorated_quantity,
        events.charged_amount,
        events.counts_toward_commitment,
        events.rating_group_id,
        events.charge_group_id,
        events.partner_local_date as usage_date,
        events.started_at,
        {{ month_of('events.partner_local_date') }} as period_start_date
    from {{ ref('int_events_attributed') }} as events
    inner join plans
        on events.plan_id = plans.plan_id
    inner join agreements
        on events.partner_agreement_id = agreements.agreement_id
    where events.charge_status = 'charged'

)

select
    record_id,
    partner_id,
    partner_agreement_id,
    plan_id,
    line_key,
    charged_quantity,
    cast(prorated_quantity as decimal(38, 8)) as prorated_quantity,
    charged_amount,
    counts_toward_commitment,
    usage_date,
    started_at,
    period_start_date,
    rating_group_id,
    charge_group_id
from records_metered
