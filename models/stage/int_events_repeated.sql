-- One row per event of which more than one readable record landed: which of them is the last final word.
-- At-least-once feeds repeat events; the source's own key and the feed say which records are the same event.
-- A final status beats a provisional one (unknown, pending), however late that one comes; of equals the one
-- received last counts. A vendor's price of another copy is kept, with its currency. Copies are counted, so
-- that nothing vanishes unseen.
with

touched as (

    select event_id from {{ ref('int_events_touched') }}

),

records as (

    select * from {{ ref('int_events_collected') }}
    where refusal_reason is null

),

-- Nearly all events come once: only the copies of the others are put in order.
events_repeated as (

    select event_id
    from records
    where
        event_id in (select touched.event_id from touched)
        or exists (
            select 1 from touched
            where touched.event_id = '{{ every_event() }}'
        )
    group by event_id
    having count(*) > 1

),

copies_numbered as (

    select
        records.*,
        row_number() over (
            partition by records.event_id
            order by
                case records.event_status when 'pending' then 0 when 'unknown' then 1 else 2 end desc,
                records.received_at desc, records.loaded_at desc, records.file_id desc,
                records.record_number desc
        ) as copy_number,
        first_value(records.vendor_amount) over (
            partition by records.event_id
            order by
                records.vendor_amount is null, records.received_at desc, records.loaded_at desc,
                records.file_id desc, records.record_number desc
        ) as last_vendor_amount,
        first_value(records.vendor_currency) over (
            partition by records.event_id
            order by
                records.vendor_amount is null, records.received_at desc, records.loaded_at desc,
                records.file_id desc, records.record_number desc
        ) as last_vendor_currency,
        count(*) over (partition by records.event_id) as record_count,
        -- Final words that differ; a provisional one that became final is the ordinary course.
        min(case when records.event_status not in ('pending', 'unknown') then records.quantity end) over (
            partition by records.event_id
        ) as least_quantity,
        max(case when records.event_status not in ('pending', 'unknown') then records.quantity end) over (
            partition by records.event_id
        ) as most_quantity,
        min(case when records.event_status not in ('pending', 'unknown') then records.event_status end) over (
            partition by records.event_id
        ) as first_status,
        max(case when records.event_status not in ('pending', 'unknown') then records.event_status end) over (
            partition by records.event_id
        ) as last_status
    from records
    inner join events_repeated
        on records.event_id = events_repeated.event_id

)

select
    event_id,
    file_id,
    record_number,
    case when vendor_amount is null then last_vendor_currency else vendor_currency end as vendor_currency,
    coalesce(vendor_amount, last_vendor_amount) as vendor_amount,
    record_count,
    coalesce(least_quantity != most_quantity or first_status != last_status, false) as is_restated
from copies_numbered
where copy_number = 1
