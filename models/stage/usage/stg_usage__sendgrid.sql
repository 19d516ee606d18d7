-- A row of SendGrid is an event of a message; here it is a state of that message, so that all of them
-- together are one e-mail, which counts once, as the last final word on it says.
with

events as (

    select * from {{ source('usage', 'sendgrid') }}

),

events_read as (

    select
        'sendgrid' as feed,
        -- One message may go to several recipients. What was dropped may lack SendGrid's id of the message;
        -- then the sender's own id tells it apart. Events are sent at least once and may lack an id of their
        -- own: a repeated event is the same state again.
        coalesce(trim(sg_message_id), trim(smtp_id)) || ' ' || lower(trim(email)) as source_event_id,
        'email' as service,
        'outbound' as direction,
        trim(account_id) as account_id,
        'sendgrid' as carrier_id,
        cast(null as string) as origin,
        nullif(split_part(lower(trim(email)), '@', 2), '') as destination,
        -- Who opened, clicked or complained had the message: that confirms the delivery and is no other one.
        case
            when event_name in ('processed', 'deferred') then 'pending'
            when event_name = 'bounce' then 'undelivered'
            when event_name = 'dropped' then 'rejected'
            when
                event_name in (
                    'open', 'click', 'spamreport', 'unsubscribe', 'group_unsubscribe', 'group_resubscribe'
                )
                then 'delivered'
            else event_name
        end as event_status,
        'message' as quantity_unit,
        -- SendGrid bills volume and gives an event no price.
        cast(null as string) as vendor_currency,
        cast(1 as decimal(18, 3)) as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        {{ parse_epoch('event_time') }} as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from events

),

-- A message belongs to the month of its first event: read in the next one, it must not move there.
messages_begun as (

    select
        *,
        min(received_at) over (partition by source_event_id) as started_at
    from events_read

)

select
    *,
    case
        when source_event_id is null then 'event_id_missing'
        else {{ usage_refusal_reason() }}
    end as refusal_reason
from messages_begun
