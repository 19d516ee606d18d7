with fct_dispute_events as (

    select
        feed || ':' || file_id || ':' || cast(record_number as string) as dispute_event_id,
        dispute_id,
        carrier_id,
        event_type,
        refusal_reason,
        reference,
        note,
        cast(event_amount as decimal(18, 6)) as event_amount,
        event_currency,
        event_date,
        loaded_at
    from {{ ref('int_dispute_events_judged') }}

)

select * from fct_dispute_events
