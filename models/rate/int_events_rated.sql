-- One row per event with what it should have cost us, or the reason why that is not known. Rating is a
-- function of the event, the carrier's own deck as it was in force and known at the start of the event, and
-- the agreement; nothing else. The cost of an event is
--     the lesser of (connect fee + increments) and the code's maximum, plus the fee of the attempt
-- where the increments that an allowance covers cost nothing. Every event passes through once, in one stream;
-- a later run rates only the events of int_events_affected.
with

allowances as (

    select * from {{ ref('int_allowances_used') }}

),

-- Codes with bands or steps: what their stretches cost together, less what is free of them.
stretches as (

    select
        stretches.event_id,
        cast(sum(stretches.billed_quantity) as decimal(18, 3)) as billed_quantity,
        bool_or(stretches.is_covered) as is_covered,
        min_by(stretches.rate_amount, stretches.stretch_number) as rate_amount,
        min_by(stretches.connect_fee_amount, stretches.stretch_number) as connect_fee_amount,
        min_by(stretches.maximum_amount, stretches.stretch_number) as maximum_amount,
        cast(sum(
            {{ increments_priced(
                'stretches.rate_amount', 'stretches.rate_per_quantity',
                'stretches.first_quantity', 'stretches.increment_quantity', 'stretches.increment_count',
                'stretches.billed_quantity - least(stretches.billed_quantity, greatest(0, '
                ~ 'coalesce(allowances.free_quantity, 0) - (stretches.reached_quantity - stretches.billed_quantity)))',
                'stretches.increment_rounding_decimals', 'stretches.increment_rounding_mode'
            ) }}
        ) as {{ exact_amount() }}) as undivided_usage_amount
    from {{ ref('int_events_stepped') }} as stretches
    left join allowances
        on stretches.event_id = allowances.event_id
    group by stretches.event_id

),

quantities_billed as (

    select
        events.*,
        stretches.undivided_usage_amount as undivided_stretches_amount,
        coalesce(events.is_used and events.has_bands_or_steps, false) as is_stepped,
        coalesce(allowances.free_quantity, 0) as used_free_quantity,
        coalesce(
            events.unrated_reason,
            case
                when
                    events.is_used
                    and events.has_bands_or_steps
                    and not coalesce(stretches.is_covered, false)
                    then 'no_rate_at_that_time'
            end
        ) as reason,
        case
            when events.is_used and events.has_bands_or_steps then stretches.billed_quantity
            else events.billed_quantity
        end as counted_quantity,
        -- An event without a used second has no price, at most the fee of its attempt.
        coalesce(events.rate_per_quantity, 1) as per_quantity,
        coalesce(events.rate_amount, stretches.rate_amount, 0) as price_amount,
        case
            when events.is_used then coalesce(events.connect_fee_amount, stretches.connect_fee_amount)
            else 0
        end as due_connect_fee_amount,
        case when events.is_used then coalesce(events.maximum_amount, stretches.maximum_amount) end
            as due_maximum_amount,
        case when events.is_attempt_charged then events.attempt_fee_amount else 0 end
            as due_attempt_fee_amount
    from {{ ref('int_events_matched') }} as events
    left join stretches
        on events.event_id = stretches.event_id
    left join allowances
        on events.event_id = allowances.event_id

),

statuses_given as (

    select
        *,
        case
            when reason is not null then 'unrated'
            when is_charged or due_attempt_fee_amount > 0 then 'rated'
            else 'not_charged'
        end as rating_status,
        -- Increments of the whole duration are all alike.
        case
            when increment_method = 'whole_duration' and counted_quantity > minimum_quantity then 0
            else least(minimum_quantity, counted_quantity)
        end as first_quantity,
        case
            when not is_used then 0
            when used_free_quantity = 0 then billed_thousandths
            else {{ thousandths('counted_quantity - used_free_quantity') }}
        end as priced_thousandths,
        case when is_used then connect_fee_units else 0 end as due_connect_fee_units,
        case when is_used then maximum_units end as due_maximum_units,
        case when is_attempt_charged then attempt_fee_units else 0 end as due_attempt_fee_units
    from quantities_billed

),

ways_chosen as (

    select
        *,
        rating_status = 'rated'
        and not is_stepped
        and increment_rounding_decimals is null
        and {{ fits_64_bits(
            'coalesce(rate_units, 0)', 'priced_thousandths', 'per_quantity',
            ['due_connect_fee_units', 'due_maximum_units', 'due_attempt_fee_units']
        ) }} as is_plain
    from statuses_given

),

-- Rate times quantity before the division by the rate's own quantity: exact, so that a line may be rounded
-- from exact sums. In whole 10^-12 where 64 bits hold it, as a wide decimal otherwise.
costs_multiplied as (

    select
        *,
        case
            when is_plain
                then {{ undivided_cost(
                    'priced_thousandths * coalesce(rate_units, 0) * 10',
                    'due_connect_fee_units * 10000 * per_quantity',
                    'due_maximum_units * 10000 * per_quantity',
                    'due_attempt_fee_units * 10000 * per_quantity'
                ) }}
        end as undivided_cost_units,
        case
            when is_plain or rating_status != 'rated' then null
            else {{ undivided_cost(
                'case '
                ~ 'when coalesce(counted_quantity, 0) = 0 then cast(0 as ' ~ exact_amount() ~ ') '
                ~ 'when is_stepped then undivided_stretches_amount '
                ~ 'else ' ~ increments_priced(
                    'price_amount', 'per_quantity', 'first_quantity', 'increment_quantity',
                    count_of_steps('(counted_quantity - first_quantity)', 'increment_quantity'),
                    'counted_quantity - used_free_quantity',
                    'increment_rounding_decimals', 'increment_rounding_mode'
                ) ~ ' end',
                multiply_exactly('per_quantity', 'due_connect_fee_amount'),
                multiply_exactly('per_quantity', 'due_maximum_amount'),
                multiply_exactly('per_quantity', 'due_attempt_fee_amount')
            ) }}
        end as undivided_wide_amount
    from ways_chosen

),

costs_divided as (

    select
        *,
        case when is_plain then {{ from_units('undivided_cost_units') }} else undivided_wide_amount end
            as undivided_cost_amount,
        case
            when is_plain
                then {{ from_units(units_rounded(
                    'undivided_cost_units', 'per_quantity', 'event_rounding_unit', 'rounding_mode'
                )) }}
            when rating_status = 'rated'
                then {{ divide_and_round(
                    'undivided_wide_amount', 'per_quantity',
                    'coalesce(event_rounding_decimals, 12)', 'rounding_mode'
                ) }}
        end as rated_cost_amount
    from costs_multiplied

),

events_rated as (

    select
        event_id,
        service,
        direction,
        account_id,
        carrier_id,
        agreement_id,
        country_code,
        event_status,
        rating_status,
        reason as unrated_reason,
        deck_row_id,
        destination_id,
        destination_name,
        quantity_unit,
        refunded_quantity,
        coalesce(rate_unit, quantity_unit) as billed_unit,
        quantity,
        case when rating_status = 'rated' then coalesce(counted_quantity, 0) end as billed_quantity,
        case when rating_status = 'rated' then price_amount end as rate_amount,
        case when rating_status = 'rated' then per_quantity end as rate_per_quantity,
        case when rating_status = 'rated' then due_connect_fee_amount end as connect_fee_amount,
        case when rating_status = 'rated' then due_attempt_fee_amount end as attempt_fee_amount,
        undivided_cost_amount,
        rated_cost_amount,
        case
            when tax_ratio = 0 then rated_cost_amount
            when rating_status = 'rated'
                then {{ scale_money(
                    'undivided_cost_amount', '1 + tax_ratio', 'per_quantity',
                    'coalesce(event_rounding_decimals, 12)', 'rounding_mode', undivided=true
                ) }}
        end as rated_cost_including_tax_amount,
        case when rating_status = 'rated' then agreement_currency end as rated_cost_currency,
        event_rounding_decimals is not null as is_rounded_per_event,
        vendor_amount,
        vendor_currency,
        counts_toward_commitment,
        carrier_local_date,
        started_at,
        received_at
    from costs_divided

)

select * from events_rated
