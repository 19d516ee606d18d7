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
        *,
        coalesce(least_quantity != most_quantity or first_status != last_status, false) as is_restated
    from copies_numbered
    where copy_number = 1

),

events_deduplicated as (

    select
        records.feed || ':' || records.source_event_id as event_id,
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
        case
            when last_words.copy_number = 1 and records.vendor_amount is null
                then last_words.last_vendor_currency
            else records.vendor_currency
        end as vendor_currency,
        records.is_final_attempt,
        records.file_id,
        records.record_number,
        records.quantity,
        coalesce(records.vendor_amount, last_words.last_vendor_amount) as vendor_amount,
        coalesce(last_words.record_count, 1) as record_count,
        coalesce(last_words.is_restated, false) as is_restated,
        records.started_at,
        records.received_at,
        records.loaded_at
    from records
    left join last_words
        on
            records.feed = last_words.feed
            and records.source_event_id = last_words.source_event_id
    where
        last_words.source_event_id is null
        or (records.file_id = last_words.file_id and records.record_number = last_words.record_number)

)

select * from events_deduplicated
