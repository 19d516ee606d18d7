with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'telnyx_messages'

),

messages as (

    select * from {{ source('usage', 'telnyx_messages') }}

),

messages_read as (

    select
        'telnyx_messages' as feed,
        trim(messages.uuid) as source_event_id,
        -- RCS is another service with prices of its own, and refused as such.
        lower(trim(messages.message_type)) as service,
        lower(trim(messages.direction)) as direction,
        trim(messages.user_id) as account_id,
        'telnyx' as carrier_id,
        {{ to_e164('messages.cli', 'declared') }} as origin,
        {{ to_e164('messages.cld', 'declared') }} as destination,
        trim(messages.mcc) as mcc,
        trim(messages.mnc) as mnc,
        -- Without an answer of the gateway, or without a receipt that can be trusted, nobody knows whether
        -- the message arrived.
        case lower(trim(messages.status))
            when 'received' then 'delivered'
            when 'gw_reject' then 'rejected'
            when 'failed' then 'undelivered'
            when 'gw_timeout' then 'unknown'
            when 'dlr_timeout' then 'unknown'
            when 'dlr_unconfirmed' then 'unknown'
            else lower(trim(messages.status))
        end as event_status,
        case when lower(trim(messages.message_type)) = 'mms' then 'message' else 'segment' end
            as quantity_unit,
        upper(trim(messages.currency)) as vendor_currency,
        {{ parse_decimal('messages.parts', 'declared.decimal_mark', 'decimal(18, 3)') }} as quantity,
        {{ parse_decimal('messages.rate', 'declared.decimal_mark') }} as rate_amount,
        {{ parse_decimal('messages.cost', 'declared.decimal_mark', 'decimal(20, 8)') }} as cost_amount,
        {{ parse_decimal("coalesce(messages.carrier_fee, '0')", 'declared.decimal_mark', 'decimal(20, 8)') }}
            as carrier_fee_amount,
        declared.money_sign,
        {{ parse_instant('coalesce(messages.sent_at, messages.created_at)') }} as started_at,
        {{ parse_instant(
            'coalesce(messages.updated_at, messages.completed_at, messages.sent_at, messages.created_at)'
        ) }} as received_at,
        messages._loaded_at as loaded_at,
        messages._file_id as file_id,
        messages._record_number as record_number
    from messages
    cross join declared

),

messages_priced as (

    select
        *,
        -- Cost is rate times parts and the carrier's fee comes on top, except in a report whose cost holds
        -- the fee already: there it must not count twice.
        money_sign * try_cast(
            case
                when cost_amount = {{ multiply_exactly('quantity', 'rate_amount') }} + carrier_fee_amount
                    then cost_amount
                else cost_amount + carrier_fee_amount
            end as decimal(18, 8)
        ) as vendor_amount
    from messages_read

)

select
    *,
    {{ usage_refusal_reason(states_network=true) }} as refusal_reason
from messages_priced
