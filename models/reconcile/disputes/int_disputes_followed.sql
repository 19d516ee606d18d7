-- One row per dispute as it stands today: what was answered and credited, what is still claimed, what may be
-- withheld, which clocks run, and what is to be done next until when.
{% set decisions = "('accepted', 'partly_accepted', 'rejected', 'withdrawn', 'resolved')" %}
with

disputes as (

    select * from {{ ref('int_disputes_raised') }}

),

steps as (

    select * from {{ ref('int_dispute_events_judged') }}
    where refusal_reason is null

),

-- Of the steps of one day the one that was loaded last is the later one.
last_steps as (

    select *
    from steps
    qualify row_number() over (
        partition by dispute_id order by event_date desc, loaded_at desc, file_id desc, record_number desc
    ) = 1

),

last_decisions as (

    select *
    from steps
    where event_type in {{ decisions }}
    qualify row_number() over (
        partition by dispute_id order by event_date desc, loaded_at desc, file_id desc, record_number desc
    ) = 1

),

credits as (

    select
        dispute_id,
        cast(sum(part_amount) as {{ exact_amount() }}) as credit_received_amount,
        max(issue_date) as last_credit_date
    from {{ ref('int_credits_matched') }}
    where dispute_id is not null
    group by dispute_id

),

due_dates as (

    select
        invoice_id,
        max({{ add_days('invoice_date', 'payment_days') }}) as due_date
    from {{ ref('int_invoice_lines_matched') }}
    group by invoice_id

),

answers_joined as (

    select
        disputes.*,
        last_steps.event_type as last_step,
        last_steps.event_date as last_step_date,
        last_decisions.event_type as decision,
        last_decisions.event_date as decision_date,
        last_decisions.event_amount as decided_amount,
        coalesce(credits.credit_received_amount, 0) as credit_received_amount,
        credits.last_credit_date,
        due_dates.due_date,
        currencies.minor_unit_decimals,
        {{ today() }} as as_of_date,
        {{ add_days('disputes.raised_date', 'disputes.answer_within_days') }} as answer_due_date,
        {{ add_days('disputes.raised_date', 'disputes.deemed_accepted_days') }} as deemed_accepted_date,
        {{ add_days('disputes.invoice_date', 'disputes.look_back_days') }} as look_back_date,
        {{ add_days('disputes.invoice_date', 'disputes.withhold_within_days') }} as withhold_until_date
    from disputes
    left join last_steps
        on disputes.dispute_id = last_steps.dispute_id
    left join last_decisions
        on disputes.dispute_id = last_decisions.dispute_id
    left join credits
        on disputes.dispute_id = credits.dispute_id
    left join due_dates
        on disputes.invoice_id = due_dates.invoice_id
    left join {{ ref('currencies') }} as currencies
        on disputes.dispute_currency = currencies.currency_code

),

answers_weighed as (

    select
        *,
        -- Nobody answered in time, and the agreement says what that means.
        decision is null
        and raised_date is not null
        and coalesce(deemed_accepted_date < as_of_date, false) as is_deemed_accepted,
        case
            when decision = 'withdrawn' then 0
            when decision = 'resolved' then coalesce(decided_amount, 0)
            else dispute_amount
        end as upheld_amount
    from answers_joined

),

claims as (

    select
        *,
        -- What is credited was claimed, whatever the difference is by now.
        greatest(upheld_amount, credit_received_amount) as claimed_amount,
        greatest(upheld_amount - credit_received_amount, 0) as open_amount,
        case
            when decision = 'accepted' then coalesce(decided_amount, dispute_amount)
            when decision = 'partly_accepted' then decided_amount
            when decision = 'resolved' then upheld_amount
            when is_deemed_accepted then dispute_amount
            else 0
        end as accepted_amount
    from answers_weighed

),

claims_judged as (

    select
        *,
        greatest(least(accepted_amount, claimed_amount) - credit_received_amount, 0)
            as expected_credit_amount,
        may_withhold
        and coalesce(coalesce(raised_date, as_of_date) <= withhold_until_date, true) as is_withheld,
        case
            when decision = 'withdrawn' then 'withdrawn'
            when open_amount = 0 and credit_received_amount > 0 then 'credited'
            when decision = 'resolved' and open_amount = 0 then 'resolved'
            when dispute_amount = 0 then 'to_withdraw'
            when last_step = 'escalated' then 'escalated'
            when decision is not null then decision
            when is_deemed_accepted then 'deemed_accepted'
            when credit_received_amount > 0 then 'partly_credited'
            when last_step is not null then last_step
            when look_back_date < as_of_date then 'expired'
            when raise_by_date < as_of_date then 'overdue_to_raise'
            else 'to_raise'
        end as dispute_status
    from claims

),

actions as (

    select
        *,
        case
            when dispute_status in ('to_raise', 'overdue_to_raise') then 'raise'
            when dispute_status = 'to_withdraw' then 'withdraw'
            when dispute_status = 'rejected' then 'escalate_or_withdraw'
            when expected_credit_amount > 0 then 'await_credit'
            when dispute_status = 'partly_accepted' then 'escalate_or_withdraw'
            when dispute_status in ('raised', 'acknowledged') and answer_due_date < as_of_date then 'escalate'
            when dispute_status in ('raised', 'acknowledged', 'escalated') then 'await_answer'
        end as next_action
    from claims_judged

),

disputes_followed as (

    select
        dispute_id,
        invoice_id,
        billing_period_id,
        carrier_id,
        agreement_id,
        invoice_number,
        cause,
        raised_for,
        dispute_status,
        next_action,
        case next_action
            when 'raise' then raise_by_date
            when 'await_answer'
                then case when last_step = 'escalated' then deemed_accepted_date else answer_due_date end
            when 'escalate' then deemed_accepted_date
        end as next_action_date,
        months_running,
        line_count,
        event_count,
        dispute_currency,
        dispute_amount,
        raised_amount,
        claimed_amount,
        greatest(dispute_amount - claimed_amount, 0) as conceded_amount,
        accepted_amount,
        credit_received_amount,
        expected_credit_amount,
        open_amount,
        case when is_withheld then open_amount else 0 end as withheld_amount,
        -- On what was paid though it is disputed, from the day on which it was due; simple, 365 days a year.
        case
            when is_withheld or interest_ratio_per_year is null or due_date >= as_of_date then 0
            else {{ divide_and_round(
                multiply_exactly('open_amount', 'interest_ratio_per_year')
                ~ ' * ' ~ days_between('due_date', 'as_of_date'), 365,
                'coalesce(minor_unit_decimals, 2)', "'half_up'"
            ) }}
        end as interest_amount,
        may_withhold,
        invoice_date,
        period_start_date,
        due_date,
        raise_by_date,
        raised_date,
        answer_due_date,
        deemed_accepted_date,
        look_back_date,
        withhold_until_date,
        last_step,
        last_step_date,
        case
            when dispute_status in ('credited', 'withdrawn', 'resolved', 'expired') then null
            else {{ days_between('coalesce(raised_date, invoice_date)', 'as_of_date') }}
        end as days_open,
        as_of_date
    from actions

)

select * from disputes_followed
