{% set clock = '%Y%m%d%H%M%S.%g' %}

with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'broadworks'

),

routes as (

    select * from {{ ref('stg_terms__routes') }}
    where feed = 'broadworks' and refusal_reason is null

),

records as (

    select * from {{ source('usage', 'broadworks') }}

),

records_typed as (

    select
        records._loaded_at,
        records._file_id,
        records._record_number,
        trim(records.route) as route,
        trim(records.service_provider) as account_id,
        trim(records.record_type) as record_type,
        -- The partial records of a call repeat the start and the call id of the complete one; the counter
        -- does not. A call id alone may come again after a restart.
        records.system_id || '/' || records.local_call_id || '/' || records.start_time as source_event_id,
        -- A record is that of one user. Where it does not say on which side, the user's number may.
        case
            when records.direction = 'Originating' then 'outbound'
            when records.direction = 'Terminating' then 'inbound'
            when records.user_number = records.calling_number then 'outbound'
            when records.user_number = records.called_number then 'inbound'
        end as direction,
        {{ to_e164('records.calling_number', 'declared') }} as origin,
        {{ to_e164('records.called_number', 'declared') }} as destination,
        -- Yes, or Yes-PostRedirection
        coalesce(records.answer_indicator like 'Yes%', false) as is_answered,
        {{ parse_whole_number('records.termination_cause') }} as cause,
        {{ parse_wall_clock('records.start_time', clock, 'declared.time_zone') }} as started_at,
        {{ parse_wall_clock('records.answer_time', clock, 'declared.time_zone') }} as answered_at,
        {{ parse_wall_clock('records.release_time', clock, 'declared.time_zone') }} as released_at,
        {{ parse_wall_clock('records.recorded_at', clock, 'declared.time_zone') }} as recorded_at
    from records
    cross join declared

),

records_read as (

    select
        'broadworks' as feed,
        records.source_event_id,
        'voice' as service,
        case
            when routes.route is null then records.direction
            else coalesce(records.direction, routes.direction, 'unknown')
        end as direction,
        records.account_id,
        routes.carrier_id,
        records.origin,
        records.destination,
        case
            when records.record_type in ('Interim', 'Long Duration') then 'pending'
            when records.record_type != 'Normal' then records.record_type
            when records.is_answered then 'answered'
            else {{ unanswered_status('records.cause') }}
        end as event_status,
        'second' as quantity_unit,
        cast(null as string) as vendor_currency,
        case
            when records.record_type = 'Normal' and records.is_answered
                then {{ seconds_between('records.answered_at', 'records.released_at') }}
            else 0
        end as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        records.started_at,
        coalesce(records.released_at, records.recorded_at) as received_at,
        records.record_type,
        records._loaded_at as loaded_at,
        records._file_id as file_id,
        records._record_number as record_number
    from records_typed as records
    left join routes
        on {{ route_applies('routes', 'records.route', 'records.started_at', 'records.direction') }}

)

select
    *,
    coalesce(
        case when record_type in ('Start', 'End') then 'mark_of_the_file' end,
        {{ usage_refusal_reason(needs_route=true) }}
    ) as refusal_reason
from records_read
