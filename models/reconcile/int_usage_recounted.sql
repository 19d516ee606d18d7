-- One row per questioned line and its like events of a day, ours and the carrier's: between which steps of
-- the bridge they stand behind the line. Usage leaves or joins a line because the carrier's days begin at
-- another instant (TIMEZONE), its months close on another day (PERIOD), a shorter dial code takes the number
-- to another destination (DIAL_CODE), or it bills what ended otherwise (STATUS).
--
-- All events of a carrier may be in question. So they are never laid aside: each question that is asked of
-- them (how many stand behind a line, which codes have too many, which of them move) reads them in passing.
{% set events = ref('int_events_questioned') %}
{% set is_ours %}
    (events.started_at >= bounded.our_first_at and events.started_at < bounded.our_until_at)
{% endset %}
{% set is_on_clock %}
    (events.started_at >= bounded.clock_first_at and events.started_at < bounded.clock_until_at)
{% endset %}
{% set is_in_period %}
    (events.started_at >= bounded.period_first_at and events.started_at < bounded.period_until_at)
{% endset %}
{% set is_billed = '(events.is_charged or billed_statuses.event_status is not null)' %}
{% set is_counted_in_period %}
    (
        case
            when told.is_counted_as_carrier then {{ is_in_period }} and {{ is_billed }}
            else {{ is_ours }} and events.is_charged
        end
    )
{% endset %}
{% set events_of_lines %}
    lines_bounded as bounded
    inner join {{ events }} as events
        on
            bounded.usage_place_id = events.usage_place_id
            and events.started_at
            >= least(bounded.our_first_at, bounded.clock_first_at, bounded.period_first_at)
            and events.started_at
            < greatest(bounded.our_until_at, bounded.clock_until_at, bounded.period_until_at)
    left join {{ ref('billing_statuses') }} as billed_statuses
        on
            bounded.status_policy_name = billed_statuses.policy_name
            and events.event_status = billed_statuses.event_status
            and not events.is_charged
{% endset %}
with

lines as (

    select
        questioned.*,
        countings.status_policy_name,
        coalesce(countings.is_adopted, false) as is_counting_adopted,
        coalesce(countings.time_zone, questioned.time_zone) as carrier_time_zone,
        case when questioned.begins_its_period then coalesce(countings.first_day_shift, 0) else 0 end
            as first_day_shift,
        case when questioned.ends_its_period then coalesce(countings.last_day_shift, 0) else 0 end
            as last_day_shift
    from {{ ref('int_lines_questioned') }} as questioned
    left join {{ ref('int_countings_scored') }} as countings
        on
            questioned.carrier_policy_id = countings.carrier_policy_id
            and countings.is_adopted

),

lines_bounded as (

    select
        lines.*,
        {{ to_instant('lines.service_first_date', 'lines.time_zone') }} as our_first_at,
        {{ to_instant(add_days('lines.service_last_date', 1), 'lines.time_zone') }} as our_until_at,
        {{ to_instant('lines.service_first_date', 'lines.carrier_time_zone') }} as clock_first_at,
        {{ to_instant(add_days('lines.service_last_date', 1), 'lines.carrier_time_zone') }} as clock_until_at,
        {{ to_instant(
            add_days('lines.service_first_date', 'lines.first_day_shift'), 'lines.carrier_time_zone'
        ) }} as period_first_at,
        {{ to_instant(
            add_days('lines.service_last_date', '1 + lines.last_day_shift'), 'lines.carrier_time_zone'
        ) }} as period_until_at
    from lines

),

events_counted as (

    select
        bounded.invoice_line_id,
        count_if({{ is_ours }} and events.is_charged) as our_event_count,
        count_if({{ is_in_period }} and {{ is_billed }}) as carrier_event_count,
        sum(case when {{ is_ours }} and events.is_charged then events.own_billed_quantity else 0 end)
            as our_billed_quantity
    from {{ events_of_lines }}
    group by bounded.invoice_line_id

),

lines_counted as (

    select
        lines.invoice_line_id,
        lines.usage_place_id,
        lines.carrier_policy_id,
        lines.invoiced_event_count,
        lines.rated_event_count,
        lines.carrier_time_zone,
        lines.time_zone,
        -- Where the agreed days and statuses reproduce a line and the carrier's do not, it was billed as
        -- agreed. A line that states no number of events follows its carrier.
        lines.is_counting_adopted
        and not coalesce(
            lines.invoiced_event_count = events_counted.our_event_count
            and lines.invoiced_quantity = events_counted.our_billed_quantity
            and lines.invoiced_event_count != events_counted.carrier_event_count,
            false
        ) as is_counted_as_carrier,
        coalesce(events_counted.our_event_count, 0) as our_event_count,
        coalesce(events_counted.carrier_event_count, 0) as carrier_event_count
    from lines
    left join events_counted
        on lines.invoice_line_id = events_counted.invoice_line_id

),

-- Only where the days of a line lead to what stands behind it can other days be tried.
lines_told as (

    select
        *,
        case when is_counted_as_carrier then carrier_event_count else our_event_count end as event_count,
        case when is_counted_as_carrier then carrier_time_zone else time_zone end as day_time_zone
    from lines_counted
    where our_event_count = rated_event_count

),

-- What a line has too much may stand on the line of a shorter code.
lines_crowded as (

    select * from lines_told
    where event_count > invoiced_event_count

),

-- Where lines are by dial code, a shorter code is a place of its own.
code_places as (

    select
        lines_bounded.carrier_id || ':' || lines_bounded.service || ':' || lines_bounded.direction as deck_id,
        lines_placed.dial_code,
        min(lines_bounded.usage_place_id) as usage_place_id
    from lines_bounded
    inner join {{ ref('int_lines_placed') }} as lines_placed
        on lines_bounded.invoice_line_id = lines_placed.invoice_line_id
    where lines_placed.dial_code is not null
    group by
        lines_bounded.carrier_id, lines_bounded.service, lines_bounded.direction, lines_placed.dial_code

),

-- The next shorter code of each code, in the same deck and at the same time, where it leads elsewhere.
rate_decks as (

    select
        *,
        carrier_id || ':' || service || ':' || direction as deck_id
    from {{ ref('int_rate_decks_resolved') }}
    where mcc is null and origin_code is null

),

rows_used as (

    select distinct events.deck_row_id
    from {{ events }} as events
    inner join lines_crowded
        on events.usage_place_id = lines_crowded.usage_place_id

),

codes_used as (

    select
        rate_decks.deck_row_id,
        rate_decks.deck_id,
        rate_decks.dial_code,
        rate_decks.destination_id,
        rate_decks.applies_from_at,
        rate_decks.applies_until_at
    from rate_decks
    inner join rows_used
        on rate_decks.deck_row_id = rows_used.deck_row_id

),

lengths as (

    {% for length in range(15) %}
        select {{ length }} as dial_code_length
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

codes_shortened as (

    select
        codes_used.deck_row_id,
        shorter.deck_row_id as shorter_deck_row_id,
        coalesce(code_places.usage_place_id, shorter.deck_id || ':' || shorter.destination_id)
            as usage_place_id,
        shorter.dial_code_length,
        greatest(codes_used.applies_from_at, shorter.applies_from_at) as applies_from_at,
        least(codes_used.applies_until_at, shorter.applies_until_at) as applies_until_at
    from codes_used
    inner join lengths
        on length(codes_used.dial_code) > lengths.dial_code_length
    inner join rate_decks as shorter
        on
            codes_used.deck_id = shorter.deck_id
            and lengths.dial_code_length = shorter.dial_code_length
            and substring(codes_used.dial_code, 1, lengths.dial_code_length) = shorter.dial_code
            and codes_used.applies_from_at < shorter.applies_until_at
            and codes_used.applies_until_at > shorter.applies_from_at
            and not shorter.is_refused
            and not shorter.has_bands_or_steps
    left join code_places
        on
            shorter.deck_id = code_places.deck_id
            and shorter.dial_code = code_places.dial_code
    where codes_used.destination_id != shorter.destination_id or code_places.usage_place_id is not null

),

-- At each time the longest of them.
code_bounds as (

    select
        deck_row_id,
        applies_from_at as bound_at
    from codes_shortened
    union
    select
        deck_row_id,
        applies_until_at as bound_at
    from codes_shortened

),

code_times as (

    select
        deck_row_id,
        bound_at as from_at,
        lead(bound_at) over (partition by deck_row_id order by bound_at) as until_at
    from code_bounds

),

next_codes as (

    select
        code_times.deck_row_id,
        code_times.from_at,
        code_times.until_at,
        codes_shortened.shorter_deck_row_id,
        codes_shortened.usage_place_id
    from code_times
    inner join codes_shortened
        on
            code_times.deck_row_id = codes_shortened.deck_row_id
            and code_times.from_at >= codes_shortened.applies_from_at
            and code_times.until_at <= codes_shortened.applies_until_at
    qualify row_number() over (
        partition by code_times.deck_row_id, code_times.from_at
        order by codes_shortened.dial_code_length desc
    ) = 1

),

codes_counted as (

    select
        told.invoice_line_id,
        next_codes.usage_place_id as shorter_place_id,
        events.deck_row_id,
        count(*) as event_count
    from {{ events_of_lines }}
    inner join lines_crowded as told
        on bounded.invoice_line_id = told.invoice_line_id
    inner join next_codes
        on
            events.deck_row_id = next_codes.deck_row_id
            and events.started_at >= next_codes.from_at
            and events.started_at < next_codes.until_at
    where {{ is_counted_in_period }}
    group by told.invoice_line_id, next_codes.usage_place_id, events.deck_row_id

),

-- All codes of a line moved, or one of them.
moves_counted as (

    select
        invoice_line_id,
        shorter_place_id,
        '' as moved_deck_row_id,
        sum(event_count) as event_count
    from codes_counted
    group by invoice_line_id, shorter_place_id
    union all
    select
        invoice_line_id,
        shorter_place_id,
        deck_row_id as moved_deck_row_id,
        event_count
    from codes_counted

),

moves_possible as (

    select
        moves_counted.*,
        lines_crowded.carrier_policy_id
    from moves_counted
    inner join lines_crowded
        on moves_counted.invoice_line_id = lines_crowded.invoice_line_id
    where moves_counted.event_count = lines_crowded.event_count - lines_crowded.invoiced_event_count
    qualify row_number() over (
        partition by moves_counted.invoice_line_id
        order by moves_counted.moved_deck_row_id, moves_counted.shorter_place_id
    ) = 1

),

events_moving as (

    select
        told.invoice_line_id as from_line_id,
        told.usage_place_id as from_place_id,
        to_lines.invoice_line_id as to_line_id,
        events.event_id,
        next_codes.shorter_deck_row_id
    from {{ events_of_lines }}
    inner join lines_crowded as told
        on bounded.invoice_line_id = told.invoice_line_id
    inner join next_codes
        on
            events.deck_row_id = next_codes.deck_row_id
            and events.started_at >= next_codes.from_at
            and events.started_at < next_codes.until_at
    inner join moves_possible
        on
            told.invoice_line_id = moves_possible.invoice_line_id
            and next_codes.usage_place_id = moves_possible.shorter_place_id
            and (
                moves_possible.moved_deck_row_id = ''
                or events.deck_row_id = moves_possible.moved_deck_row_id
            )
    inner join lines_bounded as to_lines
        on
            next_codes.usage_place_id = to_lines.usage_place_id
            and moves_possible.carrier_policy_id = to_lines.carrier_policy_id
            and events.started_at >= to_lines.period_first_at
            and events.started_at < to_lines.period_until_at
    where to_lines.is_invoiced and {{ is_counted_in_period }}

),

-- A move is believed where it closes the gap on both sides.
lines_closed as (

    select events_moving.to_line_id
    from events_moving
    inner join lines_told
        on events_moving.to_line_id = lines_told.invoice_line_id
    group by events_moving.to_line_id
    having count(*) = max(lines_told.invoiced_event_count - lines_told.event_count)

),

moves_closed as (

    select events_moving.from_line_id
    from events_moving
    inner join lines_told
        on events_moving.from_line_id = lines_told.invoice_line_id
    left join lines_closed
        on events_moving.to_line_id = lines_closed.to_line_id
    group by events_moving.from_line_id
    having
        count(*) = max(lines_told.event_count - lines_told.invoiced_event_count)
        and count(*) = count(lines_closed.to_line_id)

),

events_moved as (

    select events_moving.*
    from events_moving
    inner join moves_closed
        on events_moving.from_line_id = moves_closed.from_line_id

),

usage_stepped as (

    select
        told.invoice_line_id,
        told.carrier_policy_id,
        events.event_id,
        events.deck_row_id,
        {{ is_ours }} and events.is_charged as is_counted_at_first,
        case
            when told.is_counted_as_carrier then {{ is_on_clock }} and events.is_charged
            else {{ is_ours }} and events.is_charged
        end as is_counted_on_clock,
        {{ is_counted_in_period }} as is_counted_in_period,
        case when events.is_charged then 0 else 8 end as first_step,
        case when events_moved.event_id is not null then 3 else 99 end as end_step,
        cast({{ to_local('events.started_at', 'told.day_time_zone') }} as date) as usage_date,
        events.increment_method,
        events.is_charged,
        events.is_repriceable,
        events.quantity,
        events.minimum_quantity,
        events.increment_quantity,
        events.own_billed_quantity,
        events.own_undivided_amount,
        events.own_rated_amount,
        events.own_per_quantity,
        events.attempt_fee_amount
    from {{ events_of_lines }}
    inner join lines_told as told
        on bounded.invoice_line_id = told.invoice_line_id
    left join events_moved
        on
            told.invoice_line_id = events_moved.from_line_id
            and events.event_id = events_moved.event_id
    union all
    select
        told.invoice_line_id,
        told.carrier_policy_id,
        events.event_id,
        events_moved.shorter_deck_row_id as deck_row_id,
        false as is_counted_at_first,
        false as is_counted_on_clock,
        true as is_counted_in_period,
        3 as first_step,
        99 as end_step,
        cast({{ to_local('events.started_at', 'told.day_time_zone') }} as date) as usage_date,
        events.increment_method,
        events.is_charged,
        events.is_repriceable,
        events.quantity,
        events.minimum_quantity,
        events.increment_quantity,
        events.own_billed_quantity,
        events.own_undivided_amount,
        events.own_rated_amount,
        events.own_per_quantity,
        events.attempt_fee_amount
    from events_moved
    inner join lines_told as told
        on events_moved.to_line_id = told.invoice_line_id
    inner join {{ events }} as events
        on
            events_moved.event_id = events.event_id
            and events_moved.from_place_id = events.usage_place_id

),

usage_recounted as (

    select
        invoice_line_id,
        max(carrier_policy_id) as carrier_policy_id,
        usage_date,
        deck_row_id,
        max(increment_method) as increment_method,
        is_counted_at_first,
        is_counted_on_clock,
        is_counted_in_period,
        first_step,
        end_step,
        is_charged,
        is_repriceable,
        quantity,
        minimum_quantity,
        increment_quantity,
        own_billed_quantity,
        own_undivided_amount,
        own_rated_amount,
        own_per_quantity,
        attempt_fee_amount,
        count(*) as event_count
    from usage_stepped
    where is_counted_at_first or is_counted_on_clock or is_counted_in_period
    group by
        invoice_line_id, usage_date, deck_row_id, is_counted_at_first, is_counted_on_clock,
        is_counted_in_period, first_step, end_step, is_charged, is_repriceable,
        quantity, minimum_quantity, increment_quantity, own_billed_quantity,
        own_undivided_amount, own_rated_amount, own_per_quantity, attempt_fee_amount

)

select * from usage_recounted
