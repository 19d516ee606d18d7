-- One row per event that this run rates, with the beginning of its number that decides its code: as many
-- digits as the longest code of the deck has.
with

events as (

    select * from {{ ref('int_events_deduplicated') }}

),

affected as (

    select event_id from {{ ref('int_events_affected') }}

),

deck_epochs as (

    select * from {{ ref('int_deck_epochs_derived') }}

),

numbers_padded as (

    select
        events.event_id,
        events.service,
        events.direction,
        events.account_id,
        events.carrier_id,
        events.event_status,
        events.quantity_unit,
        events.is_final_attempt,
        events.vendor_amount,
        events.vendor_currency,
        events.counts_toward_commitment,
        events.quantity,
        case when events.service = 'email' then 0 else length(events.destination) end as digit_count,
        case when events.service = 'email' then 0 else {{ padded_number('events.destination') }} end
            as padded_number,
        events.started_at,
        events.received_at
    from events
    where
        events.event_id in (select affected.event_id from affected)
        or exists (
            select 1 from affected
            where affected.event_id = '{{ every_event() }}'
        )

),

events_selected as (

    select
        numbers_padded.*,
        -- Without a deck there is a country to be found all the same.
        coalesce(deck_epochs.deck_epoch_id, 0) as deck_epoch_id,
        least(numbers_padded.digit_count, coalesce(deck_epochs.beginning_length, 3)) as beginning_digit_count,
        {{ integer_divide(
            'numbers_padded.padded_number', power_of_ten('15 - coalesce(deck_epochs.beginning_length, 3)', 'bigint')
        ) }} as number_beginning
    from numbers_padded
    left join deck_epochs
        on
            numbers_padded.carrier_id = deck_epochs.carrier_id
            and numbers_padded.service = deck_epochs.service
            and numbers_padded.direction = deck_epochs.direction
            and numbers_padded.started_at >= deck_epochs.starts_at
            and numbers_padded.started_at < deck_epochs.ends_at

)

select * from events_selected
