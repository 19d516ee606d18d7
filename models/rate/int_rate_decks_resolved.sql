-- One row per dial code and interval in which its rate is in force, per carrier, service and direction; no
-- two rows of a code overlap. A full deck ends every row before it, an amendment ends the row of its own
-- code, a closed code ends without a successor, so that the next shorter code applies. A row applies from
-- its effective date in the agreement's zone, or from receipt if that is later.
with

-- A code whose rate cannot be read still says that the shorter codes do not apply: its events are unrated
-- with a reason, instead of being rated by their neighbour.
deck_rows as (

    select
        *,
        refusal_reason is not null as is_refused
    from {{ ref('int_deck_rows_collected') }}
    where
        refusal_reason is null
        or refusal_reason not in (
            'deck_kind_unknown', 'effective_date_unreadable', 'received_at_unreadable', 'dial_code_unreadable'
        )

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is null

),

deck_rows_timed as (

    select
        deck_rows.*,
        greatest(
            {{ to_instant('deck_rows.effective_date', "coalesce(agreements.time_zone, 'UTC')") }},
            deck_rows.received_at
        ) as applies_from_at
    from deck_rows
    left join agreements
        on
            deck_rows.carrier_id = agreements.party_id
            and deck_rows.effective_date >= agreements.valid_from_date
            and deck_rows.effective_date < agreements.valid_until_date

),

-- A full deck that was corrected for the same day replaces all of the deck that it corrects, not only the
-- codes that it repeats.
last_full_decks as (

    select *
    from deck_rows_timed
    where deck_kind = 'full'
    qualify row_number() over (
        partition by carrier_id, service, direction, applies_from_at
        order by received_at desc, loaded_at desc, file_id desc, record_number desc
    ) = 1

),

deck_rows_in_force as (

    select deck_rows_timed.*
    from deck_rows_timed
    left join last_full_decks
        on
            deck_rows_timed.carrier_id = last_full_decks.carrier_id
            and deck_rows_timed.service = last_full_decks.service
            and deck_rows_timed.direction = last_full_decks.direction
            and deck_rows_timed.applies_from_at = last_full_decks.applies_from_at
    where
        last_full_decks.carrier_id is null
        or (
            deck_rows_timed.deck_kind = 'full'
            and deck_rows_timed.deck_version is not distinct from last_full_decks.deck_version
        )
        or (
            deck_rows_timed.deck_kind = 'amendment'
            and deck_rows_timed.received_at >= last_full_decks.received_at
        )

),

-- The same code twice from the same instant: the row received last counts, of those that can be read.
deck_rows_deduplicated as (

    select *
    from deck_rows_in_force
    qualify row_number() over (
        partition by carrier_id, service, direction, dial_code, applies_from_at
        order by is_refused asc, received_at desc, loaded_at desc, file_id desc, record_number desc
    ) = 1

),

full_decks as (

    select distinct
        carrier_id,
        service,
        direction,
        applies_from_at
    from deck_rows_deduplicated
    where deck_kind = 'full'

),

deck_starts as (

    select distinct
        carrier_id,
        service,
        direction,
        applies_from_at
    from deck_rows_deduplicated

),

starts_before_full_decks as (

    select
        deck_starts.carrier_id,
        deck_starts.service,
        deck_starts.direction,
        deck_starts.applies_from_at,
        min(full_decks.applies_from_at) as next_full_deck_at
    from deck_starts
    inner join full_decks
        on
            deck_starts.carrier_id = full_decks.carrier_id
            and deck_starts.service = full_decks.service
            and deck_starts.direction = full_decks.direction
            and deck_starts.applies_from_at < full_decks.applies_from_at
    group by deck_starts.carrier_id, deck_starts.service, deck_starts.direction, deck_starts.applies_from_at

),

intervals_closed as (

    select
        deck_rows_deduplicated.*,
        least(
            lead(deck_rows_deduplicated.applies_from_at, 1, timestamp '9999-12-31 00:00:00') over (
                partition by
                    deck_rows_deduplicated.carrier_id,
                    deck_rows_deduplicated.service,
                    deck_rows_deduplicated.direction,
                    deck_rows_deduplicated.dial_code
                order by deck_rows_deduplicated.applies_from_at
            ),
            coalesce(starts_before_full_decks.next_full_deck_at, timestamp '9999-12-31 00:00:00')
        ) as applies_until_at
    from deck_rows_deduplicated
    left join starts_before_full_decks
        on
            deck_rows_deduplicated.carrier_id = starts_before_full_decks.carrier_id
            and deck_rows_deduplicated.service = starts_before_full_decks.service
            and deck_rows_deduplicated.direction = starts_before_full_decks.direction
            and deck_rows_deduplicated.applies_from_at = starts_before_full_decks.applies_from_at

),

rate_decks_resolved as (

    select
        feed || ':' || file_id || ':' || cast(record_number as string) as deck_row_id,
        carrier_id,
        service,
        direction,
        deck_version,
        dial_code,
        md5(lower(destination_name)) as destination_id,
        destination_name,
        rate_currency,
        rate_unit,
        length(dial_code) as dial_code_length,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        is_refused,
        applies_from_at,
        applies_until_at
    from intervals_closed
    where not is_closed and applies_until_at > applies_from_at

)

select * from rate_decks_resolved
