-- One row per invoice and cause that overcharges us by more than the agreement tolerates, both by ratio and
-- by amount; or by less, in so many months running that it is no accident: then in each of them. What a
-- carrier undercharges is no dispute, and neither is what we cannot judge: an invoice
-- without an agreement or an exchange rate, or lines that may be our own unrated events of the same service
-- and direction. What was raised with the carrier stays a dispute whatever becomes of the difference, until
-- it is withdrawn.
{% set terms_of_clocks = [
    'withhold_within_days', 'answer_within_days', 'deemed_accepted_days', 'look_back_days',
    'interest_ratio_per_year',
] %}
{% set last_day = add_days(next_month_of('phantoms_met.period_start_date'), -1) %}
with

components as (

    select * from {{ ref('int_variances_bridged') }}

),

lines as (

    select * from {{ ref('int_invoice_lines_matched') }}

),

invoices as (

    select
        invoice_id,
        cast(sum(invoiced_amount) as {{ exact_amount() }}) as invoice_amount
    from lines
    group by invoice_id

),

tolerances as (

    select * from {{ ref('stg_terms__tolerances') }}
    where refusal_reason is null

),

steps_raised as (

    select * from {{ ref('int_dispute_events_collected') }}
    where event_type = 'raised' and refusal_reason is null

),

raised as (

    select
        dispute_id,
        min(event_date) as raised_date
    from steps_raised
    group by dispute_id

),

-- The agreement is that of the lines that the carrier sent: what an invoice leaves out may be usage of the
-- next one, and is disputed together with the rest all the same.
invoices_dated as (

    select
        invoice_id,
        billing_period_id,
        min(carrier_id) as carrier_id,
        min(case when is_invoiced then agreement_id end) as agreement_id,
        min(invoice_number) as invoice_number,
        min(invoice_currency) as invoice_currency,
        min(invoice_date) as invoice_date,
        min(period_start_date) as period_start_date,
        invoice_id || ':' || {{ month_name_of('min(period_start_date)') }} || ':' as dispute_prefix
    from lines
    group by invoice_id, billing_period_id

),

-- Our own gaps, by what was used: unrated messages explain no calls.
unrated_usage as (

    select
        used.carrier_id,
        used.service,
        used.direction,
        {{ month_of('used.carrier_local_date') }} as period_start_date,
        sum(used.event_count) as unrated_event_count,
        sum(valued.at_risk_amount) as at_risk_amount,
        bool_and(valued.at_risk_amount is not null) as is_valued
    from {{ ref('int_usage_aggregated') }} as used
    left join {{ ref('int_unrated_usage_valued') }} as valued
        on
            used.rating_group_id = valued.rating_group_id
            and used.charge_group_id = valued.charge_group_id
            and used.usage_date = valued.usage_date
            and used.carrier_local_date = valued.carrier_local_date
            and used.partner_local_date = valued.partner_local_date
    where used.rating_status = 'unrated'
    group by used.carrier_id, used.service, used.direction, {{ month_of('used.carrier_local_date') }}

),

-- Billed without any rated usage of ours, by what it is about. A line may name no service: it may be about
-- any.
phantoms as (

    select
        components.invoice_id,
        components.billing_period_id,
        lines.carrier_id,
        lines.service,
        lines.direction,
        lines.invoice_currency,
        lines.period_start_date,
        sum(coalesce(lines.invoiced_event_count, 0)) as invoiced_event_count,
        bool_or(
            coalesce(lines.invoiced_event_count, 0) = 0 and components.component_variance_amount > 0
        ) as has_lines_without_count,
        cast(sum(components.component_variance_amount) as {{ exact_amount() }}) as phantom_amount
    from components
    inner join lines
        on components.invoice_line_id = lines.invoice_line_id
    where components.cause = 'MISSING_OURS'
    group by
        components.invoice_id, components.billing_period_id, lines.carrier_id, lines.service,
        lines.direction, lines.invoice_currency, lines.period_start_date

),

phantoms_met as (

    select
        phantoms.invoice_id,
        phantoms.billing_period_id,
        phantoms.invoice_currency,
        phantoms.period_start_date,
        phantoms.invoiced_event_count,
        phantoms.has_lines_without_count,
        phantoms.phantom_amount,
        coalesce(sum(unrated_usage.unrated_event_count), 0) as unrated_event_count,
        cast(coalesce(sum(unrated_usage.at_risk_amount), 0) as {{ exact_amount() }}) as at_risk_amount,
        coalesce(bool_and(unrated_usage.is_valued), true) as is_valued
    from phantoms
    left join unrated_usage
        on
            phantoms.carrier_id = unrated_usage.carrier_id
            and phantoms.period_start_date = unrated_usage.period_start_date
            and coalesce(phantoms.service = unrated_usage.service, true)
            and coalesce(phantoms.direction = unrated_usage.direction, true)
    group by
        phantoms.invoice_id, phantoms.billing_period_id, phantoms.service, phantoms.direction,
        phantoms.invoice_currency, phantoms.period_start_date, phantoms.invoiced_event_count,
        phantoms.has_lines_without_count, phantoms.phantom_amount

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

-- Money at risk in the invoice's currency, by the rates of the last day of the billing period; null where
-- nobody knows it.
phantoms_valued as (

    select
        phantoms_met.*,
        case
            when not phantoms_met.is_valued then null
            when phantoms_met.invoice_currency = '{{ var("reporting_currency") }}'
                then phantoms_met.at_risk_amount
            else {{ convert_money(
                'phantoms_met.at_risk_amount', 'reporting_rates.units_per_base', 'invoice_rates.units_per_base', 6
            ) }}
        end as unrated_amount
    from phantoms_met
    left join rates as invoice_rates
        on
            phantoms_met.invoice_currency = invoice_rates.currency
            and {{ last_day }}
            >= invoice_rates.valid_from_date
            and {{ last_day }}
            < invoice_rates.valid_until_date
    left join rates as reporting_rates
        on
            reporting_rates.currency = '{{ var("reporting_currency") }}'
            and {{ last_day }}
            >= reporting_rates.valid_from_date
            and {{ last_day }}
            < reporting_rates.valid_until_date

),

-- Events that we could not rate explain as many billed events, and where a line does not count its events, as
-- much money; where their own value is unknown, any.
phantoms_unexplained as (

    select
        invoice_id,
        billing_period_id,
        cast(sum(phantom_amount) as {{ exact_amount() }}) as unexplained_amount
    from phantoms_valued
    where
        unrated_event_count = 0
        or invoiced_event_count > unrated_event_count
        or (has_lines_without_count and coalesce(phantom_amount > unrated_amount, false))
    group by invoice_id, billing_period_id

),

causes_differing as (

    select
        components.invoice_id,
        components.billing_period_id,
        components.cause,
        count(*) as line_count,
        sum(greatest(coalesce(lines.invoiced_event_count, 0), coalesce(lines.rated_event_count, 0)))
            as event_count,
        cast(sum(components.component_variance_amount) as {{ exact_amount() }}) as dispute_amount
    from components
    inner join lines
        on components.invoice_line_id = lines.invoice_line_id
    group by components.invoice_id, components.billing_period_id, components.cause

),

raised_of_invoices as (

    select
        invoices_dated.invoice_id,
        invoices_dated.billing_period_id,
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
        cause,
        0 as line_count,
        0 as event_count,
        cast(0 as {{ exact_amount() }}) as dispute_amount
    from causes_settled_since

),

causes_judged as (

    select
        invoices_dated.dispute_prefix || causes_summed.cause as dispute_id,
        causes_summed.invoice_id,
        causes_summed.billing_period_id,
        invoices_dated.carrier_id,
        invoices_dated.agreement_id,
        invoices_dated.invoice_number,
        causes_summed.cause,
        invoices_dated.invoice_currency as dispute_currency,
        invoices_dated.invoice_date,
        invoices_dated.period_start_date,
        causes_summed.line_count,
        causes_summed.event_count,
        causes_summed.dispute_amount,
        case
            when causes_summed.cause = 'MISSING_OURS'
                then coalesce(phantoms_unexplained.unexplained_amount, 0)
            else causes_summed.dispute_amount
        end as judged_amount
    from causes_summed
    inner join invoices_dated
        on
            causes_summed.invoice_id = invoices_dated.invoice_id
            and causes_summed.billing_period_id = invoices_dated.billing_period_id
    left join phantoms_unexplained
        on
            causes_summed.invoice_id = phantoms_unexplained.invoice_id
            and causes_summed.billing_period_id = phantoms_unexplained.billing_period_id

),

-- A claim in another currency than the invoice has by now, such as before a restatement, is no sum of this
-- one.
amounts_raised as (

    select
        causes_judged.dispute_id,
        cast(max(steps_raised.event_amount) as {{ exact_amount() }}) as raised_amount
    from causes_judged
    inner join steps_raised
        on
            causes_judged.dispute_id = steps_raised.dispute_id
            and coalesce(steps_raised.event_currency, causes_judged.dispute_currency)
            = causes_judged.dispute_currency
    group by causes_judged.dispute_id

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
    from causes_judged
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
        causes_judged.*,
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
    from causes_judged
    inner join invoices
        on causes_judged.invoice_id = invoices.invoice_id
    left join runs_counted
        on
            causes_judged.carrier_id = runs_counted.carrier_id
            and causes_judged.cause = runs_counted.cause
            and causes_judged.dispute_currency = runs_counted.dispute_currency
            and causes_judged.period_start_date = runs_counted.period_start_date
    left join tolerances as cause_tolerances
        on
            causes_judged.agreement_id = cause_tolerances.agreement_id
            and causes_judged.cause = cause_tolerances.cause
    left join tolerances as general_tolerances
        on
            causes_judged.agreement_id = general_tolerances.agreement_id
            and general_tolerances.cause = '*'

),

tolerances_compared as (

    select
        *,
        dispute_amount > tolerance_amount
        and dispute_amount > {{ multiply_exactly('abs(invoice_amount)', 'tolerance_ratio') }}
            as is_above_tolerance,
        judged_amount > tolerance_amount
        and judged_amount > {{ multiply_exactly('abs(invoice_amount)', 'tolerance_ratio') }}
            as is_judged_above_tolerance,
        raise_after_months > 0 and months_running >= raise_after_months as is_repeated
    from tolerances_chosen

),

disputes_raised as (

    select
        tolerances_compared.dispute_id,
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
        amounts_raised.raised_amount,
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
        on tolerances_compared.dispute_id = raised.dispute_id
    left join amounts_raised
        on tolerances_compared.dispute_id = amounts_raised.dispute_id
    where
        raised.dispute_id is not null
        or (
            tolerances_compared.agreement_id is not null
            and tolerances_compared.cause != 'FX'
            and tolerances_compared.dispute_amount > 0
            and tolerances_compared.judged_amount > 0
            and (
                (
                    tolerances_compared.is_above_tolerance
                    and tolerances_compared.is_judged_above_tolerance
                )
                or tolerances_compared.is_repeated
            )
        )

)

select * from disputes_raised
