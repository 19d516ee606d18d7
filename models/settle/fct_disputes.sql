with fct_disputes as (

    select
        dispute_id,
        carrier_id,
        billing_period_id,
        invoice_number,
        cause,
        raised_for,
        dispute_status,
        next_action,
        cast(months_running as integer) as months_running,
        cast(line_count as bigint) as line_count,
        cast(event_count as bigint) as event_count,
        cast(dispute_amount as decimal(18, 6)) as dispute_amount,
        cast(raised_amount as decimal(18, 6)) as raised_amount,
        cast(claimed_amount as decimal(18, 6)) as claimed_amount,
        cast(conceded_amount as decimal(18, 6)) as conceded_amount,
        cast(accepted_amount as decimal(18, 6)) as accepted_amount,
        cast(credit_received_amount as decimal(18, 6)) as credit_received_amount,
        cast(expected_credit_amount as decimal(18, 6)) as expected_credit_amount,
        cast(open_amount as decimal(18, 6)) as open_amount,
        cast(withheld_amount as decimal(18, 6)) as withheld_amount,
        cast(interest_amount as decimal(18, 6)) as interest_amount,
        dispute_currency,
        may_withhold,
        invoice_date,
        due_date,
        raise_by_date,
        raised_date,
        answer_due_date,
        deemed_accepted_date,
        look_back_date,
        withhold_until_date,
        next_action_date,
        last_step_date,
        cast(days_open as integer) as days_open,
        as_of_date
    from {{ ref('int_disputes_followed') }}

)

select * from fct_disputes
