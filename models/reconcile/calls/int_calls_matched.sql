-- One row per call of a carrier's records and of ours, in one class. Pairs: exact, partial (they differ
-- within the tolerance), mismatch (beyond it). Records of theirs without an event: duplicate (the same
-- call of theirs stands there already), else missing_ours. Events that cost something and have no record,
-- in hours that the records are about: missing_theirs; what costs nothing is missed by nobody.
{% set cdrs = ref('int_cdrs_deduplicated') %}
{% set events = ref('int_events_covered') %}
{% set call_listed = [
    'cdrs.scope_number', 'cdrs.called_number', 'cdrs.calling_number', 'cdrs.started_at', 'cdrs.duration_seconds',
    'case when cdrs.called_number is null then cdrs.call_id end',
] %}
{% set tolerance = var('call_duration_tolerance_seconds') %}
with

pairs as (

    select
        event_number,
        cdr_number,
        'call_id' as matched_by
    from {{ ref('int_call_ids_paired') }}
    union all
    select
        event_number,
        cdr_number,
        'numbers' as matched_by
    from {{ ref('int_call_numbers_paired') }}
    union all
    select
        event_number,
        cdr_number,
        'called_number' as matched_by
    from {{ ref('int_call_remainders_paired') }}

),

shifts as (

    select * from {{ ref('int_clock_shifts_estimated') }}

),

agreements as (

    select * from {{ ref('int_agreements_resolved') }}
    where party_role = 'carrier'

),

pairs_joined as (

    select
        pairs.matched_by,
        events.event_id,
        cdrs.cdr_id,
        events.carrier_id,
        events.service,
        events.direction,
        events.agreement_id,
        events.destination_id,
        events.destination_name,
        cdrs.invoice_number,
        events.rating_status,
        cdrs.quantity_unit,
        coalesce(events.billed_unit, events.quantity_unit) = cdrs.quantity_unit as has_same_unit,
        case when events.quantity_unit = 'second' then cast(events.quantity as decimal(18, 3)) end
            as duration_seconds,
        cdrs.duration_seconds as carrier_duration_seconds,
        case when events.rating_status = 'not_charged' then 0 else events.billed_quantity end
            as billed_quantity,
        cdrs.carrier_quantity,
        case when events.rating_status = 'not_charged' then 0 else events.rated_cost_amount end
            as rated_cost_amount,
        events.rated_cost_currency,
        cdrs.carrier_amount,
        cdrs.carrier_currency,
        coalesce(events.rate_amount, 0) as rate_amount,
        coalesce(events.rate_per_quantity, 1) as rate_per_quantity,
        cdrs.amount_decimals,
        events.carrier_local_date as call_date,
        events.started_at,
        cdrs.started_at as carrier_started_at
    from pairs
    inner join {{ cdrs }} as cdrs
        on pairs.cdr_number = cdrs.cdr_number
    inner join {{ events }} as events
        on pairs.event_number = events.event_number

),

-- Amounts that are the same to the last decimal that the carrier shows are the same, however it rounds.
differences_measured as (

    select
        *,
        coalesce(abs(duration_seconds - carrier_duration_seconds), 0) as duration_difference,
        abs(billed_quantity - carrier_quantity) as quantity_difference,
        case
            when carrier_amount is null then 0
            else {{ to_units('rated_cost_amount - carrier_amount') }}
        end as difference_units,
        {{ power_of_ten('12 - least(coalesce(amount_decimals, 0), 8)') }} as last_decimal_units
    from pairs_joined

),

pairs_judged as (

    select
        *,
        case
            when rating_status = 'unrated' then 'unrated'
            when carrier_amount is not null and rated_cost_currency != carrier_currency then 'currency'
            when not has_same_unit then 'quantity_unit'
            when duration_difference > {{ tolerance }} then 'duration'
            when
                quantity_difference
                > case when quantity_unit in ('second', 'participant_second') then {{ tolerance }} else 0 end
                then 'quantity'
            when
                difference_units >= last_decimal_units
                and (
                    quantity_difference = 0
                    or (difference_units - last_decimal_units) * rate_per_quantity
                    >= {{ tolerance }} * {{ to_units('rate_amount') }}
                )
                then 'amount'
        end as difference_type,
        duration_difference >= 1 or quantity_difference > 0 as is_partial
    from differences_measured

),

cdrs_without_pair as (

    select
        cdrs.cdr_number,
        {{ number_of_values(call_listed) }} as copy_key
    from {{ cdrs }} as cdrs
    where cdrs.cdr_number not in (select pairs.cdr_number from pairs)

),

cdrs_with_copies as (

    select
        cdrs.cdr_id,
        cdrs.cdr_number,
        cdrs.loaded_at,
        cdrs.file_id,
        cdrs.record_number,
        {{ number_of_values(call_listed) }} as copy_key
    from {{ cdrs }} as cdrs

),

copies_numbered as (

    select
        copies.cdr_number,
        own.cdr_number is not null as is_without_pair,
        first_value(copies.cdr_id) over (
            partition by copies.copy_key
            order by own.cdr_number is not null, copies.loaded_at, copies.file_id, copies.record_number
        ) as first_cdr_id,
        row_number() over (
            partition by copies.copy_key
            order by own.cdr_number is not null, copies.loaded_at, copies.file_id, copies.record_number
        ) as copy_number
    from cdrs_with_copies as copies
    left join cdrs_without_pair as own
        on copies.cdr_number = own.cdr_number
    where copies.copy_key in (select cdrs_without_pair.copy_key from cdrs_without_pair)

),

cdrs_alone as (

    select
        cdrs.*,
        copies_numbered.copy_number,
        case when copies_numbered.copy_number > 1 then copies_numbered.first_cdr_id end
            as duplicated_cdr_id,
        {{ from_epoch_milliseconds(
            epoch_milliseconds('cdrs.started_at') ~ ' - coalesce(shifts.shift_seconds, 0) * 1000'
        ) }} as aligned_at
    from {{ cdrs }} as cdrs
    inner join copies_numbered
        on cdrs.cdr_number = copies_numbered.cdr_number
    left join shifts
        on
            cdrs.scope_number = shifts.scope_number
            and cast(cdrs.started_at as date) = shifts.written_date
    where copies_numbered.is_without_pair

),

spans as (

    select
        spans.scope_number,
        {{ from_epoch_milliseconds(
            epoch_milliseconds('spans.first_at') ~ ' - coalesce(first_shifts.shift_seconds, 0) * 1000'
        ) }} as first_at,
        {{ from_epoch_milliseconds(
            epoch_milliseconds('spans.end_at') ~ ' - coalesce(last_shifts.shift_seconds, 0) * 1000'
        ) }} as end_at
    from {{ ref('int_cdr_spans_merged') }} as spans
    left join shifts as first_shifts
        on
            spans.scope_number = first_shifts.scope_number
            and cast(spans.first_at as date) = first_shifts.written_date
    left join shifts as last_shifts
        on
            spans.scope_number = last_shifts.scope_number
            and cast(spans.end_at - interval 1 hour as date) = last_shifts.written_date

),

events_alone as (

    select events.*
    from {{ events }} as events
    where
        events.rating_status != 'not_charged'
        and events.event_number not in (select pairs.event_number from pairs)

),

events_missed as (

    select events_alone.*
    from events_alone
    -- Spans of two clocks may overlap.
    where exists (
        select 1 from spans
        where
            events_alone.scope_number = spans.scope_number
            and events_alone.started_at >= spans.first_at
            and events_alone.started_at < spans.end_at
    )

),

calls_matched as (

    select
        'record ' || cdr_id as call_match_id,
        case
            when difference_type is not null then 'mismatch'
            when is_partial then 'partial'
            else 'exact'
        end as match_class,
        matched_by,
        difference_type,
        event_id,
        cdr_id,
        cast(null as string) as duplicated_cdr_id,
        carrier_id,
        service,
        direction,
        agreement_id,
        destination_id,
        destination_name,
        invoice_number,
        quantity_unit,
        duration_seconds,
        carrier_duration_seconds,
        billed_quantity,
        carrier_quantity,
        rated_cost_amount,
        rated_cost_currency,
        carrier_amount,
        carrier_currency,
        call_date,
        started_at,
        carrier_started_at
    from pairs_judged
    union all
    select
        'record ' || cdrs_alone.cdr_id as call_match_id,
        case when cdrs_alone.copy_number > 1 then 'duplicate' else 'missing_ours' end as match_class,
        cast(null as string) as matched_by,
        cast(null as string) as difference_type,
        cast(null as string) as event_id,
        cdrs_alone.cdr_id,
        cdrs_alone.duplicated_cdr_id,
        cdrs_alone.carrier_id,
        cdrs_alone.service,
        cdrs_alone.direction,
        agreements.agreement_id,
        md5(lower(cdrs_alone.destination_name)) as destination_id,
        cdrs_alone.destination_name,
        cdrs_alone.invoice_number,
        cdrs_alone.quantity_unit,
        cast(null as decimal(18, 3)) as duration_seconds,
        cdrs_alone.duration_seconds as carrier_duration_seconds,
        cast(null as decimal(18, 3)) as billed_quantity,
        cdrs_alone.carrier_quantity,
        cast(null as {{ exact_amount() }}) as rated_cost_amount,
        cast(null as string) as rated_cost_currency,
        cdrs_alone.carrier_amount,
        cdrs_alone.carrier_currency,
        cast({{ to_local('cdrs_alone.aligned_at', "coalesce(agreements.time_zone, 'UTC')") }} as date)
            as call_date,
        cast(null as timestamp) as started_at,
        cdrs_alone.started_at as carrier_started_at
    from cdrs_alone
    left join agreements
        on
            cdrs_alone.carrier_id = agreements.party_id
            and cdrs_alone.aligned_at >= agreements.valid_from_at
            and cdrs_alone.aligned_at < agreements.valid_until_at
    union all
    select
        'event ' || event_id as call_match_id,
        'missing_theirs' as match_class,
        cast(null as string) as matched_by,
        cast(null as string) as difference_type,
        event_id,
        cast(null as string) as cdr_id,
        cast(null as string) as duplicated_cdr_id,
        carrier_id,
        service,
        direction,
        agreement_id,
        destination_id,
        destination_name,
        cast(null as string) as invoice_number,
        coalesce(billed_unit, quantity_unit) as quantity_unit,
        case when quantity_unit = 'second' then cast(quantity as decimal(18, 3)) end as duration_seconds,
        cast(null as decimal(18, 3)) as carrier_duration_seconds,
        billed_quantity,
        cast(null as decimal(18, 3)) as carrier_quantity,
        rated_cost_amount,
        rated_cost_currency,
        cast(null as decimal(18, 8)) as carrier_amount,
        cast(null as string) as carrier_currency,
        carrier_local_date as call_date,
        started_at,
        cast(null as timestamp) as carrier_started_at
    from events_missed

)

select * from calls_matched
