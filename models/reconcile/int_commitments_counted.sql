-- One row per commitment to a carrier and stretch of months that it is about: what the usage of these months
-- was to come to, what it came to, and what is due for the rest. A stretch begins with the commitment, or
-- where the one before it ends, and is cut where the commitment ends. It is over when a later record or an
-- invoice tells so; before, nothing is due: the usage may still come. A month of which nothing is known
-- counts as one without usage.
with

commitments as (

    select
        fees.*,
        case when fees.fee_kind = 'minimum_amount' then fees.fee_amount end as committed_amount,
        agreements.party_id as carrier_id,
        agreements.currency as fee_currency,
        agreements.time_zone,
        greatest(fees.valid_from_date, agreements.valid_from_date) as first_date,
        least(fees.valid_until_date, agreements.valid_until_date) as end_date
    from {{ ref('stg_terms__carrier_fees') }} as fees
    inner join {{ ref('int_agreements_resolved') }} as agreements
        on fees.agreement_id = agreements.agreement_id
    where
        fees.refusal_reason is null
        and fees.fee_kind in ('minimum_amount', 'minimum_quantity')
        and agreements.party_role = 'carrier'

),

usage as (

    select * from {{ ref('int_usage_aggregated') }}
    where rating_status = 'rated'

),

what_was_learned as (

    select max(received_at) as last_received_at
    from {{ ref('int_events_rated') }}

),

last_invoices as (

    select
        carrier_id,
        max(invoice_date) as last_invoice_date
    from {{ ref('int_invoice_lines_versioned') }}
    group by carrier_id

),

-- Of each stretch the first month of which anything is known, or a later one. The clock of an event that
-- began after its receipt is wrong, and says of no month that it has come.
months as (

    select {{ month_of('carrier_local_date') }} as month_date
    from {{ ref('int_usage_aggregated') }}
    where unrated_reason is distinct from 'started_after_receipt'
    union
    select period_start_date as month_date
    from {{ ref('int_invoice_lines_versioned') }}

),

stretches_numbered as (

    select distinct
        commitments.carrier_fee_id,
        {{ integer_divide(
            months_between(month_of('commitments.first_date'), 'months.month_date'),
            'commitments.commitment_months'
        ) }} as stretch_number
    from commitments
    inner join months
        on
            {{ month_of('commitments.first_date') }} <= months.month_date
            and commitments.end_date > months.month_date

),

stretches as (

    select
        commitments.*,
        {{ add_months(
            month_of('commitments.first_date'), 'stretches_numbered.stretch_number * commitments.commitment_months'
        ) }} as stretch_first_date,
        {{ add_months(
            month_of('commitments.first_date'),
            '(stretches_numbered.stretch_number + 1) * commitments.commitment_months'
        ) }} as stretch_end_date
    from commitments
    inner join stretches_numbered
        on commitments.carrier_fee_id = stretches_numbered.carrier_fee_id

),

stretches_cut as (

    select
        *,
        greatest(stretch_first_date, first_date) as held_first_date,
        least(stretch_end_date, end_date) as held_end_date
    from stretches

),

stretches_judged as (

    select
        stretches_cut.*,
        case
            when stretches_cut.proration = 'by_day'
                then {{ days_between('stretches_cut.held_first_date', 'stretches_cut.held_end_date') }}
            else 1
        end as held_days,
        case
            when stretches_cut.proration = 'by_day'
                then {{ days_between('stretches_cut.stretch_first_date', 'stretches_cut.stretch_end_date') }}
            else 1
        end as stretch_days,
        coalesce(last_invoices.last_invoice_date >= stretches_cut.held_end_date, false)
        or coalesce(
            what_was_learned.last_received_at
            >= {{ to_instant('stretches_cut.held_end_date', 'stretches_cut.time_zone') }}, false
        ) as is_over,
        {{ month_of(add_days('stretches_cut.held_end_date', -1)) }} as period_start_date
    from stretches_cut
    cross join what_was_learned
    left join last_invoices
        on stretches_cut.carrier_id = last_invoices.carrier_id

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

-- What is rated in another currency counts at the rate of its day; without one it does not count.
usage_counted as (

    select
        stretches_judged.carrier_fee_id,
        stretches_judged.period_start_date,
        cast(sum(
            case
                when usage.billed_unit = stretches_judged.quantity_unit then usage.billed_quantity
                -- A message counts once, however many segments it is billed by.
                when stretches_judged.quantity_unit = 'message' and usage.billed_unit = 'segment'
                    then usage.event_count
                else 0
            end
        ) as decimal(38, 3)) as used_quantity,
        cast(sum(
            case
                when usage.rated_cost_currency = stretches_judged.fee_currency then usage.rated_cost_amount
                else coalesce({{ convert_money(
                    'usage.rated_cost_amount', 'cost_rates.units_per_base', 'fee_rates.units_per_base', 12
                ) }}, 0)
            end
        ) as {{ exact_amount() }}) as used_amount
    from stretches_judged
    inner join usage
        on
            stretches_judged.agreement_id = usage.agreement_id
            and stretches_judged.held_first_date <= usage.carrier_local_date
            and stretches_judged.held_end_date > usage.carrier_local_date
            and coalesce(stretches_judged.service = usage.service, stretches_judged.service is null)
            and coalesce(stretches_judged.direction = usage.direction, stretches_judged.direction is null)
            and coalesce(
                stretches_judged.country_code = usage.country_code, stretches_judged.country_code is null
            )
    left join rates as cost_rates
        on
            usage.rated_cost_currency = cost_rates.currency
            and usage.carrier_local_date >= cost_rates.valid_from_date
            and usage.carrier_local_date < cost_rates.valid_until_date
    left join rates as fee_rates
        on
            stretches_judged.fee_currency = fee_rates.currency
            and usage.carrier_local_date >= fee_rates.valid_from_date
            and usage.carrier_local_date < fee_rates.valid_until_date
    group by stretches_judged.carrier_fee_id, stretches_judged.period_start_date

),

commitments_counted as (

    select
        stretches_judged.carrier_fee_id,
        stretches_judged.agreement_id,
        stretches_judged.carrier_id,
        stretches_judged.fee_key,
        stretches_judged.fee_name,
        stretches_judged.fee_kind,
        stretches_judged.service,
        stretches_judged.direction,
        stretches_judged.country_code,
        stretches_judged.quantity_unit,
        {{ scale_money(
            'stretches_judged.committed_quantity', 'stretches_judged.held_days', 'stretches_judged.stretch_days',
            3, factor_decimals=0
        ) }} as committed_quantity,
        coalesce(usage_counted.used_quantity, 0) as used_quantity,
        {{ scale_money(
            'stretches_judged.committed_amount', 'stretches_judged.held_days', 'stretches_judged.stretch_days',
            12, factor_decimals=0
        ) }} as committed_amount,
        coalesce(usage_counted.used_amount, 0) as used_amount,
        stretches_judged.fee_amount,
        stretches_judged.fee_per_quantity,
        stretches_judged.fee_currency,
        stretches_judged.is_taxed,
        stretches_judged.is_over,
        stretches_judged.held_first_date,
        stretches_judged.held_end_date,
        stretches_judged.period_start_date
    from stretches_judged
    left join usage_counted
        on
            stretches_judged.carrier_fee_id = usage_counted.carrier_fee_id
            and stretches_judged.period_start_date = usage_counted.period_start_date

)

select * from commitments_counted
