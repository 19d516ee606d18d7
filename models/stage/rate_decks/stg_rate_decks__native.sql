{% set unit_written = 'lower(trim(rate_unit))' %}

with

currencies as (

    select currency_code from {{ ref('currencies') }}

),

deck_rows as (

    select * from {{ source('rate_decks', 'native') }}

),

deck_rows_read as (

    select
        'native' as feed,
        trim(carrier_id) as carrier_id,
        lower(trim(service)) as service,
        lower(trim(direction)) as direction,
        trim(deck_version) as deck_version,
        lower(trim(deck_kind)) as deck_kind,
        coalesce(trim(leading '+' from trim(dial_code)), '') as dial_code,
        trim(mcc) as mcc,
        trim(mnc) as mnc,
        trim(leading '+' from trim(origin_code)) as origin_code,
        trim(destination_name) as destination_name,
        coalesce(lower(trim(change_type)) = 'closed', false) as is_closed,
        {{ opens_code('change_type') }} as is_new,
        upper(trim(rate_currency)) as rate_currency,
        {{ counted_unit(unit_written) }} as rate_unit,
        rate_amount as rate_text,
        try_cast(rate_amount as decimal(18, 8)) as rate_amount,
        {{ counted_quantity(
            parse_whole_number('rate_per_quantity'), unit_written,
            'cast(' ~ parse_whole_number('rate_per_quantity') ~ ' as bigint)', 'integer'
        ) }} as rate_per_quantity,
        case
            when connect_fee_amount is null then cast(0 as decimal(18, 8))
            else try_cast(connect_fee_amount as decimal(18, 8))
        end as connect_fee_amount,
        minimum_quantity as minimum_text,
        increment_quantity as increment_text,
        maximum_amount as maximum_text,
        {{ counted_quantity(
            'try_cast(minimum_quantity as decimal(18, 3))', unit_written,
            'try_cast(minimum_quantity as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as minimum_quantity,
        {{ counted_quantity(
            'try_cast(increment_quantity as decimal(18, 3))', unit_written,
            'try_cast(increment_quantity as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as increment_quantity,
        try_cast(maximum_amount as decimal(18, 8)) as maximum_amount,
        {{ weekdays_of('days') }} as weekdays,
        {{ minute_of_day("coalesce(starts_at, '00:00')") }} as from_minute,
        {{ minute_of_day("coalesce(ends_at, '24:00')") }} as until_minute,
        try_cast(coalesce(from_quantity, '0') as decimal(18, 3)) as from_quantity,
        try_cast(effective_date as date) as effective_date,
        {{ parse_instant('received_at') }} as received_at,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from deck_rows

)

select
    feed,
    carrier_id,
    service,
    direction,
    deck_version,
    deck_kind,
    dial_code,
    mcc,
    mnc,
    origin_code,
    destination_name,
    rate_currency,
    rate_unit,
    {{ deck_refusal_reason(
        'rate_currency in (select currencies.currency_code from currencies)',
        {
            'increment_unreadable':
                'coalesce(minimum_quantity, -1) < 0 and minimum_text is not null'
                ~ ' or coalesce(increment_quantity, 0) <= 0 and increment_text is not null'
                ~ ' or greatest(minimum_quantity, increment_quantity) > 1000000000000',
            'maximum_amount_unreadable': 'coalesce(maximum_amount, -1) < 0 and maximum_text is not null',
            'time_band_unreadable':
                'weekdays is null or from_minute is null or until_minute is null or from_minute >= until_minute',
            'from_quantity_unreadable': 'from_quantity is null or from_quantity < 0'
        },
        has_networks_and_origins=true
    ) }} as refusal_reason,
    rate_amount,
    rate_per_quantity,
    connect_fee_amount,
    minimum_quantity,
    increment_quantity,
    maximum_amount,
    weekdays,
    from_minute,
    until_minute,
    from_quantity,
    is_closed,
    is_new,
    effective_date,
    received_at,
    loaded_at,
    file_id,
    record_number
from deck_rows_read
