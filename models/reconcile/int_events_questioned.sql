-- One row per event of a destination and the days around a line that is questioned, charged or not, with what
-- rates it again: the quantity that increments are laid on, and the row of the deck.
{% set ratings = ref('int_events_rated') %}
with

lines as (

    select * from {{ ref('int_lines_questioned') }}

),

-- Other clocks and other days of closing reach some days beyond the line.
places as (

    select
        usage_place_id,
        carrier_id,
        agreement_id,
        service,
        direction,
        destination_id,
        min({{ add_days('service_first_date', -4) }}) as first_date,
        max({{ add_days('service_last_date', 2) }}) as last_date
    from lines
    group by usage_place_id, carrier_id, agreement_id, service, direction, destination_id

),

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

rate_decks as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

events_questioned as (

    select
        events.event_id,
        places.usage_place_id,
        events.event_status,
        events.deck_row_id,
        rating_terms.increment_method,
        events.rating_status = 'rated' as is_charged,
        -- Codes with bands or steps, and terms with an allowance, price a call by its neighbours too.
        not rate_decks.has_bands_or_steps
        and coalesce(rating_terms.free_quantity, 0) = 0
        and (events.rating_status != 'rated' or events.billed_quantity > 0) as is_repriceable,
        -- A call that nobody answered is billed as the shortest one, where it is.
        case
            when events.rating_status = 'rated' then {{ from_millionths(
                whole_millionths(millionths('events.quantity'), 'rating_terms.quantity_rounding')
            ) }}
            else greatest(events.quantity, cast(1 as decimal(18, 6)))
        end as quantity,
        coalesce(events.billed_quantity, 0) as own_billed_quantity,
        coalesce(events.undivided_cost_amount, 0) as own_undivided_amount,
        coalesce(events.rated_cost_amount, 0) as own_rated_amount,
        coalesce(events.rate_per_quantity, rate_decks.rate_per_quantity) as own_per_quantity,
        coalesce(events.attempt_fee_amount, 0) as attempt_fee_amount,
        coalesce(rate_decks.minimum_quantity, rating_terms.minimum_quantity) as minimum_quantity,
        coalesce(rate_decks.increment_quantity, rating_terms.increment_quantity) as increment_quantity,
        events.started_at
    from {{ ratings }} as events
    inner join places
        on
            events.carrier_id = places.carrier_id
            and events.agreement_id = places.agreement_id
            and events.service = places.service
            and events.direction = places.direction
            and events.destination_id = places.destination_id
            and events.carrier_local_date between places.first_date and places.last_date
    inner join rating_terms
        on
            events.agreement_id = rating_terms.agreement_id
            and events.service = rating_terms.service
            and events.direction = rating_terms.direction
    inner join rate_decks
        on events.deck_row_id = rate_decks.deck_row_id
    where events.rating_status in ('rated', 'not_charged')

)

select * from events_questioned
