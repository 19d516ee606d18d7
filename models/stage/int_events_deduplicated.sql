-- One row per event: the last final word on it. At-least-once feeds repeat events; the source's own key and
-- the feed say which copies are the same event. A final status beats a provisional one (unknown, pending),
-- however late that one comes; of equals the one received last counts. A vendor's price of another
-- copy is kept, with its currency. Copies are counted, so that nothing vanishes unseen.
with

records as (

    select * from {{ ref('int_events_collected') }}
    where refusal_reason is null

),

-- Nearly all events come once: only the copies of the others are put in order.
keys_repeated as (

    select
        feed,
        source_event_id
    from records
    group by feed, source_event_id
    having count(*) > 1

),

copies as (

    select records.*
    from records
    inner join keys_repeated
        on
            records.feed = keys_repeated.feed
            and records.source_event_id = keys_repeated.source_event_id

),

copies_numbered as (

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
    from copies

),

last_words as (

    select
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
    from copies_numbered
    where copy_number = 1
    union all
    select
        records.feed,
        records.source_event_id,
        records.service,
        records.direction,
        records.account_id,
        records.carrier_id,
        records.origin,
        records.destination,
        records.event_status,
        records.quantity_unit,
        records.vendor_currency,
        records.is_final_attempt,
        records.file_id,
        records.record_number,
        records.quantity,
        records.vendor_amount,
        1 as record_count,
        false as is_restated,
        records.started_at,
        records.received_at,
        records.loaded_at
    from records
    left join keys_repeated
        on
            records.feed = keys_repeated.feed
            and records.source_event_id = keys_repeated.source_event_id
    where keys_repeated.source_event_id is null

),

events_deduplicated as (

    select
        feed || ':' || source_event_id as event_id,
        *
    from last_words

)

select * from events_deduplicated
