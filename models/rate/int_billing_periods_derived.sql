-- One row per agreement and month in which there was usage or an invoice. A billing period is a month on the
-- agreement's own clock, so as instants it may begin at 23:00 UTC and hold a day of 25 hours.
with

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

-- One day to either side: a month may have begun elsewhere already, or not ended yet.
days_seen as (

    select cast(started_at - interval 1 day as date) as day_seen
    from {{ ref('int_events_rated') }}
    union
    select cast(started_at + interval 1 day as date) as day_seen
    from {{ ref('int_events_rated') }}
    union
    select billing_period_start_date as day_seen
    from {{ ref('int_invoice_lines_collected') }}
    where refusal_reason is null

),

months_seen as (

    select distinct {{ month_of('day_seen') }} as period_start_date
    from days_seen

),

billing_periods_derived as (

    select
        agreements.agreement_id || ':' || {{ month_name_of('months_seen.period_start_date') }}
            as billing_period_id,
        agreements.agreement_id,
        agreements.party_id,
        agreements.party_role,
        agreements.currency as agreement_currency,
        agreements.time_zone,
        months_seen.period_start_date,
        {{ next_month_of('months_seen.period_start_date') }} as period_end_date,
        {{ to_instant('months_seen.period_start_date', 'agreements.time_zone') }} as period_start_at,
        {{ to_instant(next_month_of('months_seen.period_start_date'), 'agreements.time_zone') }}
            as period_end_at
    from agreements
    inner join months_seen
        on
            {{ month_of('agreements.valid_from_date') }} <= months_seen.period_start_date
            and agreements.valid_until_date > months_seen.period_start_date

)

select * from billing_periods_derived
