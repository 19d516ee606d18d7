-- One row per carrier, service, direction and stretch of time in which its deck does not change. Within one,
-- numbers that begin alike have the same code, so it is looked for once for all of them. Networks and callers
-- tell events apart only where the deck has prices for them.
with

rate_decks as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

changes as (

    select
        carrier_id,
        service,
        direction,
        applies_from_at as starts_at
    from rate_decks
    union
    select
        carrier_id,
        service,
        direction,
        applies_until_at as starts_at
    from rate_decks
    union
    select
        carrier_id,
        service,
        direction,
        timestamp '0001-01-01 00:00:00' as starts_at
    from rate_decks

),

-- The country of a number takes four digits, whatever the deck.
decks as (

    select
        carrier_id,
        service,
        direction,
        greatest(max(dial_code_length), 4) as beginning_length,
        coalesce(max(length(origin_code)), 0) as origin_beginning_length,
        bool_or(mcc is not null) as has_networks,
        bool_and(mcc is null and origin_code is null) as is_by_number_alone,
        row_number() over (order by carrier_id, service, direction) as deck_number
    from rate_decks
    group by carrier_id, service, direction

),

deck_epochs_derived as (

    select
        row_number() over (order by decks.deck_number, changes.starts_at) as deck_epoch_id,
        decks.deck_number,
        changes.carrier_id,
        changes.service,
        changes.direction,
        decks.beginning_length,
        decks.origin_beginning_length,
        decks.has_networks,
        decks.is_by_number_alone,
        changes.starts_at,
        lead(changes.starts_at, 1, timestamp '9999-12-31 00:00:00') over (
            partition by decks.deck_number order by changes.starts_at
        ) as ends_at
    from changes
    inner join decks
        on
            changes.carrier_id = decks.carrier_id
            and changes.service = decks.service
            and changes.direction = decks.direction
    where changes.starts_at < timestamp '9999-12-31 00:00:00'

)

select * from deck_epochs_derived
