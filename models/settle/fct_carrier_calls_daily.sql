with calls_summed as (

    select
        carrier_id,
        service,
        direction,
        destination_id,
        match_class,
        quantity_unit,
        rated_cost_currency,
        carrier_currency,
        call_date,
        min(destination_name) as destination_name,
        count(event_id) as event_count,
        count(cdr_id) as cdr_count,
        sum(duration_seconds) as duration_quantity,
        sum(carrier_duration_seconds) as carrier_duration_quantity,
        sum(billed_quantity) as billed_quantity,
        sum(carrier_quantity) as carrier_quantity,
        sum(rated_cost_amount) as rated_cost_amount,
        sum(carrier_amount) as carrier_amount
    from {{ ref('int_calls_matched') }}
    group by
        carrier_id, service, direction, destination_id, match_class, quantity_unit, rated_cost_currency,
        carrier_currency, call_date

),

fct_carrier_calls_daily as (

    select
        md5(concat_ws(
            '|', cast(call_date as string), carrier_id, service, direction, coalesce(destination_id, ''),
            match_class, quantity_unit, coalesce(rated_cost_currency, ''), coalesce(carrier_currency, '')
        )) as carrier_calls_daily_id,
        carrier_id,
        service,
        direction,
        destination_id,
        destination_name,
        match_class,
        quantity_unit,
        cast(event_count as bigint) as event_count,
        cast(cdr_count as bigint) as cdr_count,
        cast(coalesce(duration_quantity, 0) as decimal(18, 3)) as duration_quantity,
        cast(coalesce(carrier_duration_quantity, 0) as decimal(18, 3)) as carrier_duration_quantity,
        cast(coalesce(billed_quantity, 0) as decimal(18, 3)) as billed_quantity,
        cast(coalesce(carrier_quantity, 0) as decimal(18, 3)) as carrier_quantity,
        cast(coalesce(rated_cost_amount, 0) as decimal(38, 12)) as rated_cost_amount,
        rated_cost_currency,
        cast(coalesce(carrier_amount, 0) as decimal(38, 8)) as carrier_amount,
        carrier_currency,
        call_date
    from calls_summed

)

select * from fct_carrier_calls_daily
