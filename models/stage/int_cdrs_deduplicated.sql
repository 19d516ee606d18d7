-- One row per call record of a carrier. Its own id says which records are the same: files overlap, and
-- what is sent again takes the place of what was sent before. Nearly all records come once: only the
-- copies of the others are put in order.
{% set cdrs = ref('int_cdrs_collected') %}
with

records as (

    select * from {{ cdrs }}
    where refusal_reason is null

),

repeated as (

    select
        feed,
        carrier_id,
        record_id
    from {{ cdrs }}
    where refusal_reason is null
    group by feed, carrier_id, record_id
    having count(*) > 1

),

copies_numbered as (

    select
        records.feed,
        records.carrier_id,
        records.record_id,
        records.file_id,
        records.record_number,
        count(*) over (partition by records.feed, records.carrier_id, records.record_id) as record_count,
        row_number() over (
            partition by records.feed, records.carrier_id, records.record_id
            order by records.loaded_at desc, records.file_id desc, records.record_number desc
        ) as copy_number
    from {{ cdrs }} as records
    inner join repeated
        on
            records.feed = repeated.feed
            and records.carrier_id = repeated.carrier_id
            and records.record_id = repeated.record_id
    where records.refusal_reason is null

),

cdrs_deduplicated as (

    select
        records.feed || ':' || records.carrier_id || ':' || records.record_id as cdr_id,
        {{ number_of_values(['records.feed', 'records.carrier_id', 'records.record_id']) }} as cdr_number,
        {{ number_of_values(['records.carrier_id', 'records.service', 'records.direction']) }}
            as scope_number,
        records.carrier_id,
        records.service,
        records.direction,
        records.call_id,
        records.calling_number,
        records.called_number,
        records.destination_name,
        records.invoice_number,
        records.carrier_currency,
        records.quantity_unit,
        records.amount_decimals,
        records.duration_seconds,
        records.carrier_quantity,
        records.carrier_amount,
        coalesce(copies_numbered.record_count, 1) as record_count,
        records.started_at,
        records.loaded_at,
        records.file_id,
        records.record_number
    from records
    left join copies_numbered
        on
            records.feed = copies_numbered.feed
            and records.carrier_id = copies_numbered.carrier_id
            and records.record_id = copies_numbered.record_id
    where
        copies_numbered.copy_number is null
        or (
            copies_numbered.copy_number = 1
            and records.file_id = copies_numbered.file_id
            and records.record_number = copies_numbered.record_number
        )

)

select * from cdrs_deduplicated
