-- One row per event that this run rates, with what decides its code: the beginning of its number, as many
-- digits as the longest code of the deck has, and, where the deck asks for them, its network and the
-- beginning of the caller's number. Where it does not, these are 0, as are a network that is not known and a
-- caller without a number.
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
        events.origin,
        events.mcc,
        events.mnc,
        events.event_status,
        events.quantity_unit,
        events.is_final_attempt,
        events.vendor_amount,
        events.vendor_currency,
        events.counts_toward_commitment,
        events.quantity,
        events.refunded_quantity,
        -- The domain of an e-mail and the nothing of a data session begin with no code.
        case
            when {{ needs_number('events.service') }} or {{ is_digits('events.destination') }}
                then length(events.destination)
            else 0
        end as digit_count,
        case
            when {{ needs_number('events.service') }} or {{ is_digits('events.destination') }}
                then {{ padded_number('events.destination') }}
            else 0
        end as padded_number,
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
        least(numbers_padded.digit_count, coalesce(deck_epochs.beginning_length, 4)) as beginning_digit_count,
        {{ integer_divide(
            'numbers_padded.padded_number', power_of_ten('15 - coalesce(deck_epochs.beginning_length, 4)', 'bigint')
        ) }} as number_beginning,
        coalesce(
            case
                when deck_epochs.has_networks
                    then {{ network_number('numbers_padded.mcc', 'numbers_padded.mnc') }}
            end,
            0
        ) as network_number,
        coalesce(
            case
                when deck_epochs.origin_beginning_length > 0 and {{ is_digits('numbers_padded.origin') }}
                    then {{ origin_number(
                        'substring(numbers_padded.origin, 1, deck_epochs.origin_beginning_length)'
                    ) }}
            end,
            0
        ) as origin_beginning
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
