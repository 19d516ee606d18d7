-- One row per invoice and cause that overcharges us by more than the agreement tolerates, both by ratio and
-- by amount; or by less, in so many months running that it is no accident: then in each of them. What a
-- carrier undercharges is no dispute, and neither is what we cannot judge: an invoice
-- without an agreement or an exchange rate, or lines that may be our own unrated events. Credit notes that
-- name invoice and cause answer the dispute.
with

components as (

    select * from {{ ref('int_variances_bridged') }}

),

invoices as (

    select
        invoice_id,
        cast(sum(invoiced_amount) as {{ exact_amount() }}) as invoice_amount
    from {{ ref('int_invoice_lines_matched') }}
    group by invoice_id

),

tolerances as (

    select * from {{ ref('stg_terms__tolerances') }}
    where refusal_reason is null

),

credits as (

    select
        carrier_id || ':' || invoice_number as invoice_id,
        cause,
        credit_currency,
        cast(sum(credit_amount) as {{ exact_amount() }}) as credit_received_amount
    from {{ ref('int_credit_notes_judged') }}
    where refusal_reason is null and cause is not null
    group by carrier_id || ':' || invoice_number, cause, credit_currency

),

unrated_usage as (

    select
        carrier_id,
        {{ month_of('carrier_local_date') }} as period_start_date,
        sum(event_count) as unrated_event_count
    from {{ ref('int_usage_aggregated') }}
    where rating_status = 'unrated'
    group by carrier_id, {{ month_of('carrier_local_date') }}

),

line_events as (

    select
        invoice_line_id,
        coalesce(invoiced_event_count, 0) as invoiced_event_count,
        greatest(coalesce(invoiced_event_count, 0), coalesce(rated_event_count, 0)) as event_count
    from {{ ref('int_invoice_lines_matched') }}

),

causes_summed as (

    select
        components.invoice_id,
        components.billing_period_id,
        components.carrier_id,
        components.agreement_id,
        components.invoice_number,
        components.cause,
        components.invoice_currency as dispute_currency,
        components.invoice_date,
        components.period_start_date,
        count(*) as line_count,
        sum(line_events.event_count) as event_count,
        sum(line_events.invoiced_event_count) as invoiced_event_count,
        cast(sum(components.component_variance_amount) as {{ exact_amount() }}) as dispute_amount
    from components
    inner join line_events
        on components.invoice_line_id = line_events.invoice_line_id
    group by
        components.invoice_id, components.billing_period_id, components.carrier_id, components.agreement_id,
        components.invoice_number, components.cause, components.invoice_currency, components.invoice_date,
        components.period_start_date

),

-- Months running in which a cause overcharges us, whatever by: the months of one run have the same distance
-- between their number and their position.
months_overcharged as (

    select
        carrier_id,
        cause,
        dispute_currency,
        period_start_date,
        year(period_start_date) * 12 + month(period_start_date)
        - row_number() over (
            partition by carrier_id, cause, dispute_currency order by period_start_date
        ) as run_number
    from causes_summed
    group by carrier_id, cause, dispute_currency, period_start_date
    having sum(dispute_amount) > 0

),

runs_counted as (

    select
        *,
        count(*) over (partition by carrier_id, cause, dispute_currency, run_number) as months_running
    from months_overcharged

),

-- A tolerance of the cause beats the agreement's general one; without any, every cent is raised.
tolerances_chosen as (

    select
        causes_summed.*,
        coalesce(cause_tolerances.tolerance_amount, general_tolerances.tolerance_amount, 0)
            as tolerance_amount,
        coalesce(cause_tolerances.tolerance_ratio, general_tolerances.tolerance_ratio, 0)
            as tolerance_ratio,
        coalesce(cause_tolerances.raise_within_days, general_tolerances.raise_within_days, 30)
            as raise_within_days,
        coalesce(cause_tolerances.may_withhold, general_tolerances.may_withhold, false) as may_withhold,
        coalesce(cause_tolerances.raise_after_months, general_tolerances.raise_after_months, 3)
            as raise_after_months,
        coalesce(runs_counted.months_running, 0) as months_running,
        invoices.invoice_amount
    from causes_summed
    inner join invoices
        on causes_summed.invoice_id = invoices.invoice_id
    left join runs_counted
        on
            causes_summed.carrier_id = runs_counted.carrier_id
            and causes_summed.cause = runs_counted.cause
            and causes_summed.dispute_currency = runs_counted.dispute_currency
            and causes_summed.period_start_date = runs_counted.period_start_date
    left join tolerances as cause_tolerances
        on
            causes_summed.agreement_id = cause_tolerances.agreement_id
            and causes_summed.cause = cause_tolerances.cause
    left join tolerances as general_tolerances
        on
            causes_summed.agreement_id = general_tolerances.agreement_id
            and general_tolerances.cause = '*'

),

tolerances_compared as (

    select
        *,
        dispute_amount > tolerance_amount
        and dispute_amount > {{ multiply_exactly('abs(invoice_amount)', 'tolerance_ratio') }}
            as is_above_tolerance,
        raise_after_months > 0 and months_running >= raise_after_months as is_repeated
    from tolerances_chosen

),

disputes_raised as (

    select
        tolerances_compared.invoice_id || ':' || {{ month_name_of('tolerances_compared.period_start_date') }}
        || ':' || tolerances_compared.cause as dispute_id,
        tolerances_compared.invoice_id,
        tolerances_compared.billing_period_id,
        tolerances_compared.carrier_id,
        tolerances_compared.agreement_id,
        tolerances_compared.invoice_number,
        tolerances_compared.cause,
        case
            when tolerances_compared.is_above_tolerance then 'above_tolerance'
            else 'repeated'
        end as raised_for,
        tolerances_compared.months_running,
        tolerances_compared.dispute_currency,
        tolerances_compared.line_count,
        tolerances_compared.event_count,
        tolerances_compared.dispute_amount,
        coalesce(credits.credit_received_amount, 0) as credit_received_amount,
        greatest(
            tolerances_compared.dispute_amount - coalesce(credits.credit_received_amount, 0), 0
        ) as open_amount,
        tolerances_compared.tolerance_amount,
        tolerances_compared.tolerance_ratio,
        tolerances_compared.may_withhold,
        tolerances_compared.invoice_date,
        tolerances_compared.period_start_date,
        {{ add_days('tolerances_compared.invoice_date', 'tolerances_compared.raise_within_days') }}
            as raise_by_date
    from tolerances_compared
    left join credits
        on
            tolerances_compared.invoice_id = credits.invoice_id
            and tolerances_compared.cause = credits.cause
            and tolerances_compared.dispute_currency = credits.credit_currency
    left join unrated_usage
        on
            tolerances_compared.carrier_id = unrated_usage.carrier_id
            and tolerances_compared.period_start_date = unrated_usage.period_start_date
    where
        tolerances_compared.agreement_id is not null
        and tolerances_compared.cause != 'FX'
        and (
            tolerances_compared.cause != 'MISSING_OURS'
            or tolerances_compared.invoiced_event_count > coalesce(unrated_usage.unrated_event_count, 0)
        )
        and tolerances_compared.dispute_amount > 0
        and (tolerances_compared.is_above_tolerance or tolerances_compared.is_repeated)

)

select * from disputes_raised
