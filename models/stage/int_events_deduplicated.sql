-- One row per event: the latest word on it. At-least-once feeds repeat events; the source's own key and the
-- feed say which copies are the same event, and the one received last counts. Copies are counted, so that
-- nothing vanishes unseen.
with

records as (

    select * from {{ ref('stg_usage__native') }}
    union all
    select * from {{ ref('stg_usage__twilio_calls') }}
    union all
    select * from {{ ref('stg_usage__twilio_messages') }}

),

records_numbered as (

    select
        *,
        row_number() over (
            partition by feed, source_event_id
            order by received_at desc, loaded_at desc, file_id desc, record_number desc
        ) as copy_number,
        count(*) over (partition by feed, source_event_id) as record_count,
        min(quantity) over (partition by feed, source_event_id) as least_quantity,
        max(quantity) over (partition by feed, source_event_id) as most_quantity,
        min(event_status) over (partition by feed, source_event_id) as first_status,
        max(event_status) over (partition by feed, source_event_id) as last_status
    from records
    where refusal_reason is null

),

events_deduplicated as (

    select
        feed || ':' || source_event_id as event_id,
        feed,
        source_event_id,
        service,
        direction,
        account_id,
        carrier_id,
        origin,
        destination,
        event_status,
        quantity_unit,
        vendor_currency,
        file_id,
        record_number,
        quantity,
        vendor_amount,
        record_count,
        least_quantity != most_quantity or first_status != last_status as is_restated,
        started_at,
        received_at,
        loaded_at
    from records_numbered
    where copy_number = 1

)

select * from events_deduplicated
