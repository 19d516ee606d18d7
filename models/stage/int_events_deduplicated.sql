-- One row per event: the last final word on it. At-least-once feeds repeat events; the source's own key and
-- the feed say which copies are the same event. A final status beats a provisional one (unknown, pending),
-- however late that one comes; of equals the one received last counts. A vendor's price of another
-- copy is kept, with its currency. Copies are counted, so that nothing vanishes unseen.
with

records_numbered as (

    select
        *,
        row_number() over (
            partition by feed, source_event_id
            order by
                case event_status when 'pending' then 0 when 'unknown' then 1 else 2 end desc,
                received_at desc, loaded_at desc, file_id desc, record_number desc
        ) as copy_number,
        first_value(vendor_amount) over (
            partition by feed, source_event_id
            order by vendor_amount is null, received_at desc, loaded_at desc, file_id desc, record_number desc
        ) as last_vendor_amount,
        first_value(vendor_currency) over (
            partition by feed, source_event_id
            order by vendor_amount is null, received_at desc, loaded_at desc, file_id desc, record_number desc
        ) as last_vendor_currency,
        count(*) over (partition by feed, source_event_id) as record_count,
        -- Final words that differ; a provisional one that became final is the ordinary course.
        min(case when event_status not in ('pending', 'unknown') then quantity end) over (
            partition by feed, source_event_id
        ) as least_quantity,
        max(case when event_status not in ('pending', 'unknown') then quantity end) over (
            partition by feed, source_event_id
        ) as most_quantity,
        min(case when event_status not in ('pending', 'unknown') then event_status end) over (
            partition by feed, source_event_id
        ) as first_status,
        max(case when event_status not in ('pending', 'unknown') then event_status end) over (
            partition by feed, source_event_id
        ) as last_status
    from {{ ref('int_events_collected') }}
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
        case when vendor_amount is null then last_vendor_currency else vendor_currency end as vendor_currency,
        is_final_attempt,
        file_id,
        record_number,
        quantity,
        coalesce(vendor_amount, last_vendor_amount) as vendor_amount,
        record_count,
        coalesce(least_quantity != most_quantity or first_status != last_status, false) as is_restated,
        started_at,
        received_at,
        loaded_at
    from records_numbered
    where copy_number = 1

)

select * from events_deduplicated
