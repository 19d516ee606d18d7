{% set unit_written = 'lower(trim(cdrs.quantity_unit))' %}

with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'carrier_cdrs' and feed = 'native'

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

cdrs as (

    select * from {{ source('carrier_cdrs', 'native') }}

),

cdrs_read as (

    select
        'native' as feed,
        trim(cdrs.carrier_id) as carrier_id,
        trim(cdrs.record_id) as record_id,
        trim(cdrs.call_id) as call_id,
        lower(trim(cdrs.service)) as service,
        lower(trim(cdrs.direction)) as direction,
        {{ number_shown('cdrs.calling_number') }} as calling_number,
        {{ number_shown('cdrs.called_number') }} as called_number,
        trim(cdrs.destination_name) as destination_name,
        trim(cdrs.invoice_number) as invoice_number,
        upper(trim(cdrs.currency)) as carrier_currency,
        {{ counted_unit(unit_written) }} as quantity_unit,
        {{ parse_decimal('cdrs.duration', type='decimal(18, 3)') }} as duration_seconds,
        cdrs.duration as duration_text,
        {{ counted_quantity(
            parse_decimal('cdrs.billed_quantity', type='decimal(18, 3)'), unit_written,
            parse_decimal('cdrs.billed_quantity', type='decimal(38, 15)'), 'decimal(18, 3)'
        ) }} as carrier_quantity,
        {{ parse_decimal('cdrs.amount') }} as carrier_amount,
        {{ number_written('cdrs.amount') }} as amount_written,
        cdrs.amount as amount_text,
        coalesce(
            {{ parse_instant('cdrs.started_at') }},
            {{ parse_wall_clock(
                "replace(cdrs.started_at, 'T', ' ')", '%Y-%m-%d %H:%M:%S', 'declared.time_zone'
            ) }},
            {{ parse_wall_clock(
                "replace(cdrs.started_at, 'T', ' ')", '%Y-%m-%d %H:%M:%S.%f', 'declared.time_zone'
            ) }}
        ) as started_at,
        cdrs._loaded_at as loaded_at,
        cdrs._file_id as file_id,
        cdrs._record_number as record_number
    from cdrs
    cross join declared

)

select
    *,
    -- Digits after the point: an amount says no more than it shows. Zeros at its end may be left out, so the
    -- amounts of a carrier in one file show as many as the finest of them.
    case
        when amount_text is not null
            then
                max(
                    case
                        when length(split_part(amount_text, '.', 2)) <= 8
                            then length(split_part(amount_text, '.', 2))
                    end
                ) over (partition by file_id, carrier_id)
    end as amount_decimals,
    {{ cdr_refusal_reason(
        'carrier_currency in (select known_currencies.currency_code from known_currencies)'
    ) }} as refusal_reason
from cdrs_read
