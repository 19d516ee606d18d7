{% set unit_written = 'lower(trim(quantity_unit))' %}

with events as (

    select * from {{ source('usage', 'native') }}

),

events_read as (

    select
        'native' as feed,
        trim(event_id) as source_event_id,
        trim(call_id) as call_id,
        lower(trim(service)) as service,
        lower(trim(direction)) as direction,
        trim(account_id) as account_id,
        trim(carrier_id) as carrier_id,
        trim(leading '+' from trim(origin)) as origin,
        trim(leading '+' from trim(destination)) as destination,
        trim(mcc) as mcc,
        trim(mnc) as mnc,
        lower(trim(status)) as event_status,
        {{ counted_unit(unit_written) }} as quantity_unit,
        upper(trim(amount_currency)) as vendor_currency,
        try_cast(coalesce(trim(is_final_attempt), 'true') as boolean) as is_final_attempt,
        try_cast(coalesce(trim(counts_toward_commitment), 'true') as boolean) as counts_toward_commitment,
        trim(refund_of) as refund_of,
        nullif({{ counted_quantity(
            parse_decimal('refunded_quantity', type='decimal(18, 6)'), unit_written,
            parse_decimal('refunded_quantity', type='decimal(38, 15)'), 'decimal(18, 6)'
        ) }}, 0) as refunded_quantity,
        {{ parse_decimal('refunded_quantity', type='decimal(38, 15)') }} as refunded_quantity_written,
        refunded_quantity as refunded_quantity_text,
        {{ counted_quantity(
            parse_decimal('quantity', type='decimal(18, 6)'), unit_written,
            parse_decimal('quantity', type='decimal(38, 15)'), 'decimal(18, 6)'
        ) }} as quantity,
        {{ parse_decimal('amount') }} as vendor_amount,
        {{ number_written('amount') }} as amount_written,
        amount as amount_text,
        {{ parse_instant('started_at') }} as started_at,
        {{ parse_instant('received_at') }} as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from events

)

select
    *,
    coalesce(
        {{ usage_refusal_reason(states_network=true, holds_credits=true) }},
        case
            when is_final_attempt is null then 'is_final_attempt_unreadable'
            when counts_toward_commitment is null then 'counts_toward_commitment_unreadable'
            when amount_text is not null and vendor_amount is null then 'amount_unreadable'
            when amount_written != vendor_amount then 'amount_has_more_than_8_decimals'
            when vendor_amount is not null and vendor_currency is null then 'amount_without_currency'
            when refund_of is not null and (vendor_amount is null or vendor_amount >= 0)
                then 'refund_without_negative_amount'
            when refund_of is not null and quantity = 0 then 'refund_without_quantity'
            when
                refunded_quantity_text is not null
                and (
                    refunded_quantity_written is null
                    or refunded_quantity_written < 0
                    or (refunded_quantity is null and refunded_quantity_written > 0)
                )
                then 'refunded_quantity_unreadable'
            when refund_of is not null and refunded_quantity is not null then 'refund_with_refunded_quantity'
            when refunded_quantity > quantity then 'refunded_quantity_above_quantity'
        end
    ) as refusal_reason
from events_read
