-- One row per fee that a carrier agreement states and billing month in which it holds, with what it is due
-- for: months or days of rented numbers, months or days of the agreement itself, or rated events and their
-- billed quantities. What a fee costs is its quantity times its amount, divided by the quantity that the
-- amount is for. Of the rows of one fee the closest counts, so that nothing is due twice under one name: one
-- for the network beats one for its country, and that one for all. What a commitment falls short of is a fee
-- too, in the month in which it falls due.
{% set usage_groups = ref('int_usage_aggregated') %}

with

fees as (

    select
        fees.*,
        agreements.party_id as carrier_id,
        agreements.currency as fee_currency,
        greatest(fees.valid_from_date, agreements.valid_from_date) as first_date,
        least(fees.valid_until_date, agreements.valid_until_date) as end_date
    from {{ ref('stg_terms__carrier_fees') }} as fees
    inner join {{ ref('int_agreements_resolved') }} as agreements
        on fees.agreement_id = agreements.agreement_id
    where
        fees.refusal_reason is null
        and fees.fee_kind not in ('minimum_amount', 'minimum_quantity')
        and agreements.party_role = 'carrier'

),

numbers as (

    select * from {{ ref('stg_terms__numbers') }}
    where refusal_reason is null

),

-- Months of which something is known: usage, or an invoice. A number is rented without being used, so the
-- usage of any carrier tells that the month has begun.
months as (

    select {{ month_of('carrier_local_date') }} as period_start_date
    from {{ usage_groups }}
    where unrated_reason is distinct from 'started_after_receipt'
    union
    select period_start_date
    from {{ ref('int_invoice_lines_versioned') }}

),

day_numbers as (

    {% for day_number in range(31) %}
        select {{ day_number }} as day_number {{ 'union all' if not loop.last }}
    {% endfor %}

),

month_days as (

    select
        months.period_start_date,
        {{ next_month_of('months.period_start_date') }} as period_end_date,
        {{ add_days('months.period_start_date', 'day_numbers.day_number') }} as local_date
    from months
    cross join day_numbers
    where
        {{ add_days('months.period_start_date', 'day_numbers.day_number') }}
        < {{ next_month_of('months.period_start_date') }}

),

fee_months as (

    select distinct
        fees.*,
        month_days.period_start_date,
        {{ days_between('month_days.period_start_date', 'month_days.period_end_date') }} as month_day_count
    from fees
    inner join month_days
        on fees.first_date <= month_days.local_date and fees.end_date > month_days.local_date

),

number_kinds as (

    select distinct
        carrier_id,
        number_type,
        country_code
    from numbers

),

-- Which row holds on a day, for each kind of number or, without one, for the agreement.
fee_days as (

    select
        fees.carrier_fee_id,
        fees.carrier_id,
        fees.fee_key,
        fees.fee_kind,
        fees.proration,
        number_kinds.number_type,
        number_kinds.country_code,
        month_days.period_start_date,
        month_days.local_date
    from fees
    inner join month_days
        on fees.first_date <= month_days.local_date and fees.end_date > month_days.local_date
    left join number_kinds
        on
            fees.fee_kind = 'per_number_month'
            and fees.carrier_id = number_kinds.carrier_id
            and coalesce(fees.country_code = number_kinds.country_code, fees.country_code is null)
            and coalesce(fees.number_type = number_kinds.number_type, fees.number_type is null)
    where
        fees.fee_kind = 'per_month'
        or (fees.fee_kind = 'per_number_month' and number_kinds.carrier_id is not null)
    qualify row_number() over (
        partition by
            fees.carrier_id, fees.fee_key, fees.fee_kind, number_kinds.number_type, number_kinds.country_code,
            month_days.local_date
        order by {{ stated_first(['fees.country_code', 'fees.number_type']) }}
    ) = 1

),

-- Days in a row, so that each number meets a month once and not once a day.
fee_days_numbered as (

    select
        *,
        {{ days_between('period_start_date', 'local_date') }}
        - row_number() over (
            partition by carrier_fee_id, number_type, country_code, period_start_date order by local_date
        ) as stretch_number
    from fee_days

),

fee_stretches as (

    select
        carrier_fee_id,
        carrier_id,
        fee_key,
        fee_kind,
        proration,
        number_type,
        country_code,
        period_start_date,
        min(local_date) as first_date,
        {{ add_days('max(local_date)', 1) }} as end_date
    from fee_days_numbered
    group by
        carrier_fee_id, carrier_id, fee_key, fee_kind, proration, number_type, country_code,
        period_start_date, stretch_number

),

numbers_met as (

    select
        fee_stretches.carrier_fee_id,
        fee_stretches.carrier_id,
        fee_stretches.fee_key,
        fee_stretches.fee_kind,
        fee_stretches.proration,
        fee_stretches.period_start_date,
        numbers.number_id,
        greatest(fee_stretches.first_date, coalesce(numbers.valid_from_date, fee_stretches.first_date))
            as first_date,
        least(fee_stretches.end_date, coalesce(numbers.valid_until_date, fee_stretches.end_date))
            as end_date
    from fee_stretches
    left join numbers
        on
            fee_stretches.fee_kind = 'per_number_month'
            and fee_stretches.carrier_id = numbers.carrier_id
            and fee_stretches.number_type is not distinct from numbers.number_type
            and fee_stretches.country_code is not distinct from numbers.country_code
            and fee_stretches.end_date > numbers.valid_from_date
            and fee_stretches.first_date < numbers.valid_until_date
    where fee_stretches.fee_kind = 'per_month' or numbers.number_id is not null

),

-- A month that is not prorated is due once, by the row that holds on the first day on which it is due.
first_days_marked as (

    select
        *,
        row_number() over (
            partition by carrier_id, fee_key, fee_kind, number_id, period_start_date order by first_date
        ) = 1 as is_first
    from numbers_met

),

months_due as (

    select
        carrier_fee_id,
        period_start_date,
        sum(case when proration = 'by_day' then {{ days_between('first_date', 'end_date') }} else 1 end)
            as due_quantity
    from first_days_marked
    where proration = 'by_day' or is_first
    group by carrier_fee_id, period_start_date

),

agreements_by_network as (

    select distinct agreement_id
    from fees
    where mcc is not null

),

-- Only agreements with fees by network have their events read: groups do not know networks.
usage_slices as (

    select
        agreement_id,
        service,
        direction,
        country_code,
        cast(null as string) as mcc,
        cast(null as string) as mnc,
        billed_unit as quantity_unit,
        carrier_local_date,
        sum(event_count) as event_count,
        sum(billed_quantity) as billed_quantity
    from {{ usage_groups }}
    where
        rating_status = 'rated'
        and agreement_id not in (select agreements_by_network.agreement_id from agreements_by_network)
    group by agreement_id, service, direction, country_code, billed_unit, carrier_local_date
    union all
    select
        events.agreement_id,
        events.service,
        events.direction,
        events.country_code,
        records.mcc,
        records.mnc,
        events.billed_unit as quantity_unit,
        events.carrier_local_date,
        count(*) as event_count,
        sum(events.billed_quantity) as billed_quantity
    from {{ ref('int_events_rated') }} as events
    inner join {{ ref('int_events_deduplicated') }} as records
        on events.event_id = records.event_id
    where
        events.rating_status = 'rated'
        and events.agreement_id in (select agreements_by_network.agreement_id from agreements_by_network)
    group by
        events.agreement_id, events.service, events.direction, events.country_code, records.mcc, records.mnc,
        events.billed_unit, events.carrier_local_date

),

usage_matched as (

    select
        fees.carrier_fee_id,
        {{ month_of('slices.carrier_local_date') }} as period_start_date,
        case when fees.fee_kind = 'per_event' then slices.event_count else slices.billed_quantity end
            as due_quantity
    from usage_slices as slices
    inner join fees
        on
            slices.agreement_id = fees.agreement_id
            and slices.carrier_local_date >= fees.first_date
            and slices.carrier_local_date < fees.end_date
            and coalesce(slices.service = fees.service, fees.service is null)
            and coalesce(slices.direction = fees.direction, fees.direction is null)
            and coalesce(slices.country_code = fees.country_code, fees.country_code is null)
            and coalesce(slices.mcc = fees.mcc, fees.mcc is null)
            and coalesce(slices.mnc = fees.mnc, fees.mnc is null)
            and (
                fees.fee_kind = 'per_event'
                or (fees.fee_kind = 'per_quantity' and slices.quantity_unit = fees.quantity_unit)
            )
    qualify row_number() over (
        partition by
            slices.agreement_id, slices.service, slices.direction, slices.country_code, slices.mcc,
            slices.mnc, slices.quantity_unit, slices.carrier_local_date, fees.fee_key, fees.fee_kind
        order by
            {{ stated_first(
                ['fees.mcc', 'fees.mnc', 'fees.country_code', 'fees.service', 'fees.direction']
            ) }}
    ) = 1

),

usage_due as (

    select
        carrier_fee_id,
        period_start_date,
        sum(due_quantity) as due_quantity
    from usage_matched
    group by carrier_fee_id, period_start_date

),

fees_counted as (

    select
        fee_months.carrier_fee_id,
        fee_months.agreement_id,
        fee_months.carrier_id,
        fee_months.fee_key,
        fee_months.fee_name,
        fee_months.fee_kind,
        false as is_commitment,
        fee_months.service,
        fee_months.direction,
        case
            when fee_months.fee_kind = 'per_quantity' then fee_months.quantity_unit
            when fee_months.fee_kind = 'per_event' then 'event'
            when fee_months.proration = 'by_day' then 'day'
            else 'month'
        end as due_unit,
        cast(coalesce(months_due.due_quantity, usage_due.due_quantity, 0) as decimal(18, 3)) as due_quantity,
        fee_months.fee_amount,
        case
            when fee_months.proration = 'by_day' then fee_months.month_day_count
            else fee_months.fee_per_quantity
        end as fee_per_quantity,
        fee_months.fee_currency,
        fee_months.is_taxed,
        fee_months.period_start_date
    from fee_months
    left join months_due
        on
            fee_months.carrier_fee_id = months_due.carrier_fee_id
            and fee_months.period_start_date = months_due.period_start_date
    left join usage_due
        on
            fee_months.carrier_fee_id = usage_due.carrier_fee_id
            and fee_months.period_start_date = usage_due.period_start_date
    union all
    select
        carrier_fee_id,
        agreement_id,
        carrier_id,
        fee_key,
        fee_name,
        fee_kind,
        true as is_commitment,
        service,
        direction,
        coalesce(quantity_unit, 'month') as due_unit,
        cast(
            case
                when fee_kind = 'minimum_amount' then 1
                else greatest(committed_quantity - used_quantity, 0)
            end as decimal(18, 3)
        ) as due_quantity,
        cast(
            case
                when fee_kind = 'minimum_quantity' then fee_amount
                else {{ round_money('greatest(committed_amount - used_amount, 0)', 8, "'half_up'") }}
            end as decimal(18, 8)
        ) as fee_amount,
        fee_per_quantity,
        fee_currency,
        is_taxed,
        period_start_date
    from {{ ref('int_commitments_counted') }}
    where is_over

)

select * from fees_counted
