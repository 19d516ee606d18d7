-- One row per step of a dispute, judged against the disputes that there are: one of a dispute that nobody
-- knows, in another currency, or that concedes more than was claimed is refused.
with

disputes as (

    select * from {{ ref('int_disputes_raised') }}

),

dispute_events_judged as (

    select
        events.feed,
        events.file_id,
        events.record_number,
        events.dispute_id,
        disputes.carrier_id,
        events.event_type,
        events.event_date,
        events.reference,
        events.note,
        coalesce(
            events.refusal_reason,
            case
                when disputes.dispute_id is null then 'dispute_unknown'
                when events.event_currency != disputes.dispute_currency then 'currency_differs'
                when
                    events.event_type in ('accepted', 'partly_accepted', 'resolved')
                    and events.event_amount
                    > greatest(disputes.dispute_amount, coalesce(disputes.raised_amount, 0))
                    then 'amount_exceeds_dispute'
            end
        ) as refusal_reason,
        events.event_amount,
        coalesce(disputes.dispute_currency, events.event_currency) as event_currency,
        events.loaded_at
    from {{ ref('int_dispute_events_collected') }} as events
    left join disputes
        on events.dispute_id = disputes.dispute_id

)

select * from dispute_events_judged
