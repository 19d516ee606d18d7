with

closings as (

    select
        period_date,
        max(case when period_state = 'closed' then 1 else 0 end) = 1 as is_closed,
        max(closed_at) as closed_at,
        -- A month may be closed twice, softly and for good: the last one, and the last reason that was given.
        max_by(closed_by, closed_at) as closed_by,
        max_by(reason, closed_at) as accepted_reason,
        max(grace_until_date) as grace_until_date
    from {{ ref('stg_ledger__closings') }}
    group by period_date

),

dim_billing_periods as (

    select
        periods.billing_period_id,
        periods.agreement_id,
        periods.party_id,
        periods.party_role,
        periods.agreement_currency,
        periods.time_zone,
        case
            when closings.is_closed then 'closed'
            when closings.period_date is not null then 'soft_closed'
            else 'open'
        end as period_state,
        closings.closed_by,
        closings.accepted_reason,
        periods.period_start_date,
        periods.period_end_date,
        closings.grace_until_date,
        periods.period_start_at,
        periods.period_end_at,
        closings.closed_at
    from {{ ref('int_billing_periods_derived') }} as periods
    left join closings
        on periods.period_start_date = closings.period_date

)

select * from dim_billing_periods
