-- One row per invoice and cause that overcharges us by more than the agreement tolerates, both by ratio and
-- by amount; or by less, in so many months running that it is no accident: then in each of them. What a
-- carrier undercharges is no dispute, and neither is what we cannot judge: an invoice
-- without an agreement or an exchange rate, or lines that may be our own unrated events. What was raised with
-- the carrier stays a dispute whatever becomes of the difference, until it is withdrawn.
{% set terms_of_clocks = [
    'withhold_within_days', 'answer_within_days', 'deemed_accepted_days', 'look_back_days',
    'interest_ratio_per_year',
] %}
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

raised as (

    select
        dispute_id,
        min(event_date) as raised_date,
        cast(max(event_amount) as {{ exact_amount() }}) as raised_amount
    from {{ ref('int_dispute_events_collected') }}
    where event_type = 'raised' and refusal_reason is null
    group by dispute_id

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

causes_differing as (

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

invoices_dated as (

    select distinct
        invoice_id,
        billing_period_id,
        carrier_id,
        agreement_id,
        invoice_number,
        invoice_currency,
        invoice_date,
        period_start_date,
        invoice_id || ':' || {{ month_name_of('period_start_date') }} || ':' as dispute_prefix
    from {{ ref('int_invoice_lines_matched') }}

),

raised_of_invoices as (

    select
        invoices_dated.*,
        substring(raised.dispute_id, length(invoices_dated.dispute_prefix) + 1) as cause
    from invoices_dated
    inner join raised
        on
            substring(raised.dispute_id, 1, length(invoices_dated.dispute_prefix))
            = invoices_dated.dispute_prefix

),

-- What was raised of an invoice that no longer differs for that reason, after another deck or late usage.
causes_settled_since as (

    select raised_of_invoices.*
    from raised_of_invoices
    left join causes_differing
        on
            raised_of_invoices.invoice_id = causes_differing.invoice_id
            and raised_of_invoices.billing_period_id = causes_differing.billing_period_id
            and raised_of_invoices.cause = causes_differing.cause
    where
        causes_differing.invoice_id is null
        and raised_of_invoices.cause in {{ variance_causes() }}

),

causes_summed as (

    select * from causes_differing
    union all
    select
        invoice_id,
        billing_period_id,
        carrier_id,
        agreement_id,
        invoice_number,
        cause,
        invoice_currency as dispute_currency,
        invoice_date,
        period_start_date,
        0 as line_count,
        0 as event_count,
        0 as invoiced_event_count,
        cast(0 as {{ exact_amount() }}) as dispute_amount
    from causes_settled_since

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
        {% for term in terms_of_clocks %}
            coalesce(cause_tolerances.{{ term }}, general_tolerances.{{ term }}) as {{ term }},
        {% endfor %}
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
            when tolerances_compared.is_repeated then 'repeated'
            else 'raised_by_hand'
        end as raised_for,
        tolerances_compared.months_running,
        tolerances_compared.dispute_currency,
        tolerances_compared.line_count,
        tolerances_compared.event_count,
        greatest(tolerances_compared.dispute_amount, 0) as dispute_amount,
        raised.raised_amount,
        tolerances_compared.tolerance_amount,
        tolerances_compared.tolerance_ratio,
        tolerances_compared.may_withhold,
        tolerances_compared.withhold_within_days,
        tolerances_compared.answer_within_days,
        tolerances_compared.deemed_accepted_days,
        tolerances_compared.look_back_days,
        tolerances_compared.interest_ratio_per_year,
        raised.raised_date,
        tolerances_compared.invoice_date,
        tolerances_compared.period_start_date,
        {{ add_days('tolerances_compared.invoice_date', 'tolerances_compared.raise_within_days') }}
            as raise_by_date
    from tolerances_compared
    left join raised
        on
            tolerances_compared.invoice_id
            || ':' || {{ month_name_of('tolerances_compared.period_start_date') }}
            || ':' || tolerances_compared.cause = raised.dispute_id
    left join unrated_usage
        on
            tolerances_compared.carrier_id = unrated_usage.carrier_id
            and tolerances_compared.period_start_date = unrated_usage.period_start_date
    where
        raised.dispute_id is not null
        or (
            tolerances_compared.agreement_id is not null
            and tolerances_compared.cause != 'FX'
            and (
                tolerances_compared.cause != 'MISSING_OURS'
                or tolerances_compared.invoiced_event_count > coalesce(unrated_usage.unrated_event_count, 0)
            )
            and tolerances_compared.dispute_amount > 0
            and (tolerances_compared.is_above_tolerance or tolerances_compared.is_repeated)
        )

)

select * from disputes_raised
