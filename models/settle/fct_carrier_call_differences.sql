with calls as (

    select * from {{ ref('int_calls_matched') }}
    where match_class != 'exact'

),

fct_carrier_call_differences as (

    select
        md5(call_match_id) as call_difference_id,
        match_class,
        difference_type,
        matched_by,
        carrier_id,
        service,
        direction,
        destination_id,
        destination_name,
        event_id,
        cdr_id,
        duplicated_cdr_id,
        invoice_number,
        quantity_unit,
        case when duration_seconds is not null or carrier_duration_seconds is not null then 'second' end
            as duration_unit,
        cast(duration_seconds as decimal(18, 3)) as duration_quantity,
        cast(carrier_duration_seconds as decimal(18, 3)) as carrier_duration_quantity,
        cast(billed_quantity as decimal(18, 3)) as billed_quantity,
        cast(carrier_quantity as decimal(18, 3)) as carrier_quantity,
        cast(rated_cost_amount as decimal(38, 12)) as rated_cost_amount,
        rated_cost_currency,
        cast(carrier_amount as decimal(18, 8)) as carrier_amount,
        carrier_currency,
        call_date,
        started_at,
        carrier_started_at
    from calls

)

select * from fct_carrier_call_differences
