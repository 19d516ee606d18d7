-- One row per event: the last final word on it, as int_events_repeated chooses it where several records
-- landed.
with

records as (

    select * from {{ ref('int_events_collected') }}
    where refusal_reason is null

),

repeated as (

    select * from {{ ref('int_events_repeated') }}

),

events_deduplicated as (

    select
        records.event_id,
        records.feed,
        records.call_id,
        records.service,
        records.direction,
        records.account_id,
        records.carrier_id,
        records.origin,
        records.destination,
        records.mcc,
        records.mnc,
        records.event_status,
        records.quantity_unit,
        case when repeated.event_id is null then records.vendor_currency else repeated.vendor_currency end
            as vendor_currency,
        records.is_final_attempt,
        records.counts_toward_commitment,
        records.refunded_event_id,
        records.file_id,
        records.record_number,
        records.quantity,
        records.refunded_quantity,
        case when repeated.event_id is null then records.vendor_amount else repeated.vendor_amount end
            as vendor_amount,
        coalesce(repeated.record_count, 1) as record_count,
        coalesce(repeated.is_restated, false) as is_restated,
        records.started_at,
        records.received_at,
        records.loaded_at
    from records
    left join repeated
        on records.event_id = repeated.event_id
    where
        repeated.event_id is null
        or (records.file_id = repeated.file_id and records.record_number = repeated.record_number)

)

select * from events_deduplicated
