-- One row per event with what it should have cost us, or the reason why that is not known. Rating is a
-- function of the event, the carrier's own deck as it was in force and known at the start of the event, and
-- the agreement; nothing else. The cost of an event is
--     the lesser of (connect fee + increments) and the code's maximum, plus the fee of the attempt
-- where the increments that an allowance covers cost nothing.
with

events as (

    select * from {{ ref('int_events_matched') }}

),

stretches as (

    select * from {{ ref('int_events_stepped') }}

),

stretches_gathered as (

    select
        event_id,
        cast(sum(billed_quantity) as decimal(18, 3)) as billed_quantity,
        bool_or(is_covered) as is_covered,
        min_by(rate_amount, stretch_number) as rate_amount,
        min_by(connect_fee_amount, stretch_number) as connect_fee_amount,
        min_by(maximum_amount, stretch_number) as maximum_amount
    from stretches
    group by event_id

),

quantities_billed as (

    select
        events.event_id,
        events.feed,
        events.service,
        events.direction,
        events.account_id,
        events.carrier_id,
        events.agreement_id,
        events.agreement_currency,
        events.destination,
        events.country_code,
        events.event_status,
        events.is_charged,
        events.has_bands_or_steps,
        events.deck_row_id,
        events.deck_version,
        events.dial_code,
        events.destination_id,
        events.destination_name,
        events.increment_method,
        events.increment_rounding_mode,
        events.increment_rounding_decimals,
        events.rounding_mode,
        events.event_rounding_decimals,
        events.tax_ratio,
        events.free_quantity,
        events.quantity_unit,
        events.quantity,
        events.minimum_quantity,
        events.increment_quantity,
        case
            when events.unrated_reason is not null then events.unrated_reason
            when
                events.is_used
                and events.has_bands_or_steps
                and not coalesce(stretches_gathered.is_covered, false)
                then 'no_rate_at_that_time'
        end as unrated_reason,
        case
            when events.is_used and events.has_bands_or_steps then stretches_gathered.billed_quantity
            when events.is_used
                then {{ billed_quantity(
                    'events.rounded_quantity', 'events.minimum_quantity', 'events.increment_quantity',
                    'events.increment_method'
                ) }}
            when events.is_charged then cast(0 as decimal(18, 3))
        end as billed_quantity,
        -- An event without a used second has no price, at most the fee of its attempt.
        coalesce(events.rate_per_quantity, 1) as rate_per_quantity,
        coalesce(events.rate_amount, stretches_gathered.rate_amount, 0) as rate_amount,
        case
            when events.is_used
                then coalesce(events.connect_fee_amount, stretches_gathered.connect_fee_amount)
            else 0
        end as connect_fee_amount,
        case when events.is_used then coalesce(events.maximum_amount, stretches_gathered.maximum_amount) end
            as maximum_amount,
        case when events.is_attempt_charged then events.attempt_fee_amount else 0 end as attempt_fee_amount,
        events.carrier_local_date,
        events.started_at,
        events.received_at
    from events
    left join stretches_gathered
        on events.event_id = stretches_gathered.event_id

),

statuses_given as (

    select
        *,
        case
            when unrated_reason is not null then 'unrated'
            when is_charged or attempt_fee_amount > 0 then 'rated'
            else 'not_charged'
        end as rating_status,
        -- Increments of the whole duration are all alike.
        case
            when increment_method = 'whole_duration' and billed_quantity > minimum_quantity then 0
            else least(minimum_quantity, billed_quantity)
        end as first_quantity
    from quantities_billed

),

-- An allowance is used up in the order in which the events began, whatever the order in which they came.
allowances_used as (

    select
        event_id,
        least(
            billed_quantity,
            greatest(
                0,
                free_quantity - coalesce(sum(billed_quantity) over (
                    partition by agreement_id, service, direction, {{ month_of('carrier_local_date') }}
                    order by started_at, event_id
                    rows between unbounded preceding and 1 preceding
                ), 0)
            )
        ) as free_quantity
    from statuses_given
    where free_quantity > 0 and rating_status = 'rated' and billed_quantity > 0

),

-- Rate times quantity before the division by the rate's own quantity: exact, so that a line may be rounded
-- from exact sums.
stretches_priced as (

    select
        stretches.event_id,
        cast(sum(
            {{ increments_priced(
                'stretches.rate_amount', 'stretches.rate_per_quantity',
                'stretches.first_quantity', 'stretches.increment_quantity', 'stretches.increment_count',
                'stretches.billed_quantity - least(stretches.billed_quantity, greatest(0, '
                ~ 'coalesce(allowances_used.free_quantity, 0) - (stretches.reached_quantity - stretches.billed_quantity)))',
                'events.increment_rounding_decimals', 'events.increment_rounding_mode'
            ) }}
        ) as {{ exact_amount() }}) as undivided_usage_amount
    from stretches
    inner join events
        on stretches.event_id = events.event_id
    left join allowances_used
        on stretches.event_id = allowances_used.event_id
    group by stretches.event_id

),

usage_priced as (

    select
        statuses_given.*,
        case
            when statuses_given.rating_status != 'rated' then null
            when coalesce(statuses_given.billed_quantity, 0) = 0 then cast(0 as {{ exact_amount() }})
            when statuses_given.has_bands_or_steps then stretches_priced.undivided_usage_amount
            else
                {{ increments_priced(
                    'statuses_given.rate_amount', 'statuses_given.rate_per_quantity',
                    'statuses_given.first_quantity',
                    'statuses_given.increment_quantity',
                    count_of_steps(
                        '(statuses_given.billed_quantity - statuses_given.first_quantity)',
                        'statuses_given.increment_quantity'
                    ),
                    'statuses_given.billed_quantity - coalesce(allowances_used.free_quantity, 0)',
                    'statuses_given.increment_rounding_decimals', 'statuses_given.increment_rounding_mode'
                ) }}
        end as undivided_usage_amount
    from statuses_given
    left join allowances_used
        on statuses_given.event_id = allowances_used.event_id
    left join stretches_priced
        on statuses_given.event_id = stretches_priced.event_id

),

connections_priced as (

    select
        *,
        {{ multiply_exactly('rate_per_quantity', 'connect_fee_amount') }} + undivided_usage_amount
            as undivided_call_amount,
        {{ multiply_exactly('rate_per_quantity', 'maximum_amount') }} as undivided_maximum_amount
    from usage_priced

),

costs_multiplied as (

    select
        *,
        least(undivided_call_amount, coalesce(undivided_maximum_amount, undivided_call_amount))
        + {{ multiply_exactly('rate_per_quantity', 'attempt_fee_amount') }} as undivided_cost_amount
    from connections_priced

),

costs_divided as (

    select
        *,
        case
            when rating_status = 'rated'
                then {{ divide_and_round(
                    'undivided_cost_amount', 'rate_per_quantity',
                    'coalesce(event_rounding_decimals, 12)', 'rounding_mode'
                ) }}
        end as rated_cost_amount
    from costs_multiplied

),

events_rated as (

    select
        event_id,
        feed,
        service,
        direction,
        account_id,
        carrier_id,
        agreement_id,
        destination,
        country_code,
        event_status,
        rating_status,
        unrated_reason,
        deck_row_id,
        deck_version,
        dial_code,
        destination_id,
        destination_name,
        quantity_unit,
        quantity,
        case when rating_status = 'rated' then coalesce(billed_quantity, 0) end as billed_quantity,
        case when rating_status = 'rated' then rate_amount end as rate_amount,
        case when rating_status = 'rated' then rate_per_quantity end as rate_per_quantity,
        case when rating_status = 'rated' then connect_fee_amount end as connect_fee_amount,
        case when rating_status = 'rated' then attempt_fee_amount end as attempt_fee_amount,
        case when rating_status = 'rated' then undivided_cost_amount end as undivided_cost_amount,
        rated_cost_amount,
        case
            when tax_ratio = 0 then rated_cost_amount
            when rating_status = 'rated'
                then {{ scale_money(
                    'undivided_cost_amount', '1 + tax_ratio', 'rate_per_quantity',
                    'coalesce(event_rounding_decimals, 12)', 'rounding_mode'
                ) }}
        end as rated_cost_including_tax_amount,
        case when rating_status = 'rated' then agreement_currency end as rated_cost_currency,
        event_rounding_decimals is not null as is_rounded_per_event,
        carrier_local_date,
        started_at,
        received_at
    from costs_divided

)

select * from events_rated
