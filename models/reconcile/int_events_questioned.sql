-- One row per event and usage place (a destination, a dial code, or all of a service that no line comes
-- closer to) of the days around a line that is questioned, charged or not, with what rates it again: the
-- quantity that increments are laid on, and the row of the deck.
{% set ratings = ref('int_events_rated') %}
{% set is_of_place %}
    events.carrier_id = places.carrier_id
    and events.agreement_id = places.agreement_id
    and events.service = places.service
    and events.direction = places.direction
    and events.carrier_local_date between places.first_date and places.last_date
{% endset %}
with

lines as (

    select * from {{ ref('int_lines_questioned') }}

),

-- Other clocks and other days of closing reach some days beyond the line.
places as (

    select
        usage_place_id,
        place_type,
        carrier_id,
        agreement_id,
        service,
        direction,
        destination_id,
        min({{ add_days('service_first_date', -4) }}) as first_date,
        max({{ add_days('service_last_date', 2) }}) as last_date
    from lines
    group by usage_place_id, place_type, carrier_id, agreement_id, service, direction, destination_id

),

lines_placed as (

    select * from {{ ref('int_lines_placed') }}
    where covers_usage

),

codes_of_places as (

    select
        lines.usage_place_id,
        lines.carrier_id,
        lines_placed.dial_code
    from lines
    inner join lines_placed
        on lines.invoice_line_id = lines_placed.invoice_line_id
    where lines.place_type = 'dial_code'
    group by lines.usage_place_id, lines.carrier_id, lines_placed.dial_code

),

-- What stands on lines of its own is not on that of the service.
destinations_elsewhere as (

    select
        places.usage_place_id,
        lines_placed.destination_id
    from places
    inner join lines_placed
        on
            places.carrier_id = lines_placed.carrier_id
            and places.service = lines_placed.service
            and places.direction = lines_placed.direction
            and places.first_date <= lines_placed.service_last_date
            and places.last_date >= lines_placed.service_first_date
    where places.place_type = 'service' and lines_placed.destination_id is not null
    group by places.usage_place_id, lines_placed.destination_id

),

coded as (

    select * from {{ ref('int_events_coded') }}

),

events_placed as (

    select
        events.*,
        places.usage_place_id
    from {{ ratings }} as events
    inner join places
        on
            {{ is_of_place }}
            and events.destination_id = places.destination_id
    left join coded
        on events.event_id = coded.event_id
    where coded.event_id is null
    union all
    select
        events.*,
        places.usage_place_id
    from {{ ratings }} as events
    inner join coded
        on events.event_id = coded.event_id
    inner join codes_of_places
        on
            events.carrier_id = codes_of_places.carrier_id
            and coded.dial_code = codes_of_places.dial_code
    inner join places
        on
            {{ is_of_place }}
            and codes_of_places.usage_place_id = places.usage_place_id
    union all
    select
        events.*,
        places.usage_place_id
    from {{ ratings }} as events
    inner join places
        on
            {{ is_of_place }}
            and places.place_type = 'service'
    left join coded
        on events.event_id = coded.event_id
    left join destinations_elsewhere
        on
            places.usage_place_id = destinations_elsewhere.usage_place_id
            and events.destination_id = destinations_elsewhere.destination_id
    where coded.event_id is null and destinations_elsewhere.destination_id is null

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
        events.usage_place_id,
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
    from events_placed as events
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
