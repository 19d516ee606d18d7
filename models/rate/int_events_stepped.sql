-- One row per used event and stretch of it that has one price, where the event's code has prices for time
-- bands or steps. Increments are laid end to end from the first second; each belongs wholly to the band and
-- the step in force at its own first second, also where it reaches into the next one. Bands are on the
-- agreement's clock; a boundary inside an hour that a clock change repeats counts once.
with recursive

-- Where no deck has bands or steps, no event is looked at.
decks as (

    select distinct
        carrier_id,
        service,
        direction
    from {{ ref('int_rate_decks_resolved') }}
    where has_bands_or_steps

),

events as (

    select
        events_matched.event_id,
        events_matched.deck_row_id,
        events_matched.started_at,
        events_matched.time_zone,
        events_matched.increment_rounding_mode,
        events_matched.increment_rounding_decimals,
        events_matched.rounded_quantity,
        events_matched.minimum_quantity,
        events_matched.increment_quantity,
        events_matched.rate_per_quantity,
        events_matched.carrier_local_date as first_local_date
    from {{ ref('int_events_matched') }} as events_matched
    inner join decks
        on
            events_matched.carrier_id = decks.carrier_id
            and events_matched.service = decks.service
            and events_matched.direction = decks.direction
    where
        events_matched.is_used
        and events_matched.has_bands_or_steps

),

rates as (

    select
        *,
        lead(from_quantity) over (
            partition by deck_row_id, weekdays, from_minute, until_minute order by from_quantity
        ) as until_quantity
    from {{ ref('int_rates_resolved') }}

),

-- An event of at most a day touches three local dates where the clock is put forward.
day_offsets as (

    select 0 as day_offset
    union all
    select 1 as day_offset
    union all
    select 2 as day_offset

),

days as (

    select
        events.*,
        cast({{ add_days('events.first_local_date', 'day_offsets.day_offset') }} as date) as local_date
    from events
    cross join day_offsets

),

bands as (

    select
        days.*,
        rates.rate_row_id,
        rates.from_quantity as step_from_quantity,
        coalesce(rates.until_quantity, days.rounded_quantity) as step_until_quantity,
        rates.minimum_quantity as rate_minimum_quantity,
        rates.increment_quantity as rate_increment_quantity,
        rates.connect_fee_amount,
        rates.maximum_amount,
        cast(
            rates.rate_amount * {{ integer_divide('days.rate_per_quantity', 'rates.rate_per_quantity') }}
            as decimal(38, 8)
        ) as rate_amount,
        {{ seconds_between('days.started_at', to_instant(
            'cast(days.local_date as timestamp) + rates.from_minute * interval 1 minute', 'days.time_zone'
        )) }} as band_from_quantity,
        {{ seconds_between('days.started_at', to_instant(
            'cast(days.local_date as timestamp) + rates.until_minute * interval 1 minute', 'days.time_zone'
        )) }} as band_until_quantity
    from days
    inner join rates
        on
            days.deck_row_id = rates.deck_row_id
            and substring(rates.weekdays, {{ day_of_week('days.local_date') }}, 1) = '1'

),

stretches as (

    select
        event_id,
        rate_row_id,
        increment_rounding_mode,
        increment_rounding_decimals,
        rounded_quantity,
        coalesce(rate_minimum_quantity, minimum_quantity) as minimum_quantity,
        coalesce(rate_increment_quantity, increment_quantity) as increment_quantity,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        maximum_amount,
        greatest(band_from_quantity, step_from_quantity, 0) as from_quantity,
        least(band_until_quantity, step_until_quantity, rounded_quantity) as until_quantity,
        row_number() over (
            partition by event_id
            order by greatest(band_from_quantity, step_from_quantity, 0), rate_row_id
        ) as stretch_number
    from bands
    where
        greatest(band_from_quantity, step_from_quantity, 0)
        < least(band_until_quantity, step_until_quantity, rounded_quantity)

),

walked as (

    select
        event_id,
        cast(0 as bigint) as stretch_number,
        cast(0 as decimal(18, 3)) as first_quantity,
        cast(0 as bigint) as increment_count,
        cast(0 as decimal(18, 3)) as reached_quantity
    from events
    union all
    select
        walked.event_id,
        stretches.stretch_number,
        {{ first_increment('stretches', 'walked.reached_quantity') }} as first_quantity,
        {{ increments_of_stretch('stretches', 'walked.reached_quantity') }} as increment_count,
        cast(
            walked.reached_quantity
            + {{ first_increment('stretches', 'walked.reached_quantity') }}
            + {{ increments_of_stretch('stretches', 'walked.reached_quantity') }}
            * stretches.increment_quantity
            as decimal(18, 3)
        ) as reached_quantity
    from walked
    inner join stretches
        on
            walked.event_id = stretches.event_id
            and walked.stretch_number + 1 = stretches.stretch_number

),

events_stepped as (

    select
        walked.event_id,
        walked.stretch_number,
        stretches.rate_row_id,
        stretches.increment_rounding_mode,
        stretches.increment_rounding_decimals,
        stretches.rate_amount,
        stretches.rate_per_quantity,
        stretches.connect_fee_amount,
        stretches.maximum_amount,
        walked.first_quantity,
        walked.increment_count,
        stretches.increment_quantity,
        cast(walked.first_quantity + walked.increment_count * stretches.increment_quantity as decimal(18, 3))
            as billed_quantity,
        walked.reached_quantity,
        walked.reached_quantity >= stretches.rounded_quantity as is_covered
    from walked
    inner join stretches
        on
            walked.event_id = stretches.event_id
            and walked.stretch_number = stretches.stretch_number
    where walked.first_quantity > 0 or walked.increment_count > 0

)

select * from events_stepped
