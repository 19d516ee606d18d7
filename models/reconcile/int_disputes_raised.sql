-- One row per invoice and cause that overcharges us by more than the agreement tolerates, both by ratio and
-- by amount. What a carrier undercharges is no dispute, and neither is what we cannot judge: an invoice
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
        invoices.invoice_amount
    from causes_summed
    inner join invoices
        on causes_summed.invoice_id = invoices.invoice_id
    left join tolerances as cause_tolerances
        on
            causes_summed.agreement_id = cause_tolerances.agreement_id
            and causes_summed.cause = cause_tolerances.cause
    left join tolerances as general_tolerances
        on
            causes_summed.agreement_id = general_tolerances.agreement_id
            and general_tolerances.cause = '*'

),

disputes_raised as (

    select
        tolerances_chosen.invoice_id || ':' || {{ month_name_of('tolerances_chosen.period_start_date') }}
        || ':' || tolerances_chosen.cause as dispute_id,
        tolerances_chosen.invoice_id,
        tolerances_chosen.billing_period_id,
        tolerances_chosen.carrier_id,
        tolerances_chosen.agreement_id,
        tolerances_chosen.invoice_number,
        tolerances_chosen.cause,
        tolerances_chosen.dispute_currency,
        tolerances_chosen.line_count,
        tolerances_chosen.event_count,
        tolerances_chosen.dispute_amount,
        coalesce(credits.credit_received_amount, 0) as credit_received_amount,
        greatest(
            tolerances_chosen.dispute_amount - coalesce(credits.credit_received_amount, 0), 0
        ) as open_amount,
        tolerances_chosen.tolerance_amount,
        tolerances_chosen.tolerance_ratio,
        tolerances_chosen.may_withhold,
        tolerances_chosen.invoice_date,
        tolerances_chosen.period_start_date,
        {{ add_days('tolerances_chosen.invoice_date', 'tolerances_chosen.raise_within_days') }}
            as raise_by_date
    from tolerances_chosen
    left join credits
        on
            tolerances_chosen.invoice_id = credits.invoice_id
            and tolerances_chosen.cause = credits.cause
            and tolerances_chosen.dispute_currency = credits.credit_currency
    left join unrated_usage
        on
            tolerances_chosen.carrier_id = unrated_usage.carrier_id
            and tolerances_chosen.period_start_date = unrated_usage.period_start_date
    where
        tolerances_chosen.agreement_id is not null
        and tolerances_chosen.cause != 'FX'
        and (
            tolerances_chosen.cause != 'MISSING_OURS'
            or tolerances_chosen.invoiced_event_count > coalesce(unrated_usage.unrated_event_count, 0)
        )
        and tolerances_chosen.dispute_amount > tolerances_chosen.tolerance_amount
        and tolerances_chosen.dispute_amount > {{ multiply_exactly(
            'abs(tolerances_chosen.invoice_amount)', 'tolerances_chosen.tolerance_ratio'
        ) }}

)

select * from disputes_raised
