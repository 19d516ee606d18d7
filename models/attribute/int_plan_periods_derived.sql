-- One row per partner agreement, plan and billing month in which both are in force on some day: fees and
-- commitments are due without any usage. Months are those in which anybody's usage lies: of others we know
-- nothing.
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

agreements as (

    select * from {{ ref('int_agreements_resolved') }}
    where party_role = 'partner'

),

known_months as (

    select distinct {{ month_of('partner_local_date') }} as period_start_date
    from {{ ref('int_usage_aggregated') }}
    -- A clock that is wrong says of no month that it has come.
    where unrated_reason is distinct from 'started_after_receipt'

),

what_was_learned as (

    select max(received_at) as last_received_at
    from {{ ref('int_events_rated') }}

),

days_of_plans as (

    select
        agreements.party_id as partner_id,
        agreements.agreement_id as partner_agreement_id,
        plans.plan_id,
        agreements.time_zone,
        known_months.period_start_date,
        {{ next_month_of('known_months.period_start_date') }} as period_end_date,
        greatest(plans.valid_from_date, agreements.valid_from_date, known_months.period_start_date)
            as first_date,
        least(
            plans.valid_until_date, agreements.valid_until_date,
            {{ next_month_of('known_months.period_start_date') }}
        ) as until_date
    from plans
    inner join agreements
        on
            plans.partner_id = agreements.party_id
            and plans.valid_from_date < agreements.valid_until_date
            and plans.valid_until_date > agreements.valid_from_date
    cross join known_months

),

plan_periods_derived as (

    select
        days_of_plans.partner_id,
        days_of_plans.partner_agreement_id,
        days_of_plans.plan_id,
        {{ days_between('days_of_plans.first_date', 'days_of_plans.until_date') }} as active_days,
        {{ days_between('days_of_plans.period_start_date', 'days_of_plans.period_end_date') }} as period_days,
        -- Something came in after its end: the month will not become longer.
        coalesce(
            what_was_learned.last_received_at
            >= {{ to_instant('days_of_plans.period_end_date', 'days_of_plans.time_zone') }}, false
        ) as is_over,
        {{ seconds_between(
            to_instant('days_of_plans.first_date', 'days_of_plans.time_zone'),
            to_instant('days_of_plans.until_date', 'days_of_plans.time_zone')
        ) }} as active_seconds,
        -- Of these, what lies before the last record that came in.
        greatest(
            0,
            {{ seconds_between(
                to_instant('days_of_plans.first_date', 'days_of_plans.time_zone'),
                'least(what_was_learned.last_received_at, '
                ~ to_instant('days_of_plans.until_date', 'days_of_plans.time_zone') ~ ')'
            ) }}
        ) as elapsed_seconds,
        what_was_learned.last_received_at as known_until_at,
        days_of_plans.period_start_date
    from days_of_plans
    cross join what_was_learned
    where days_of_plans.first_date < days_of_plans.until_date

)

select * from plan_periods_derived
