{% set clock = '%Y-%m-%d %H:%M:%S' %}

with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'freeswitch'

),

routes as (

    select * from {{ ref('stg_terms__routes') }}
    where feed = 'freeswitch' and refusal_reason is null

),

legs as (

    select * from {{ source('usage', 'freeswitch') }}

),

legs_typed as (

    select
        legs.*,
        {{ parse_wall_clock('legs.start_stamp', clock, 'declared.time_zone') }} as started_at,
        {{ parse_wall_clock('legs.end_stamp', clock, 'declared.time_zone') }} as ended_at,
        {{ to_e164('legs.caller_id_number', 'declared') }} as origin,
        {{ to_e164('legs.destination_number', 'declared') }} as destination
    from legs
    cross join declared

),

legs_read as (

    select
        'freeswitch' as feed,
        trim(legs.uuid) as source_event_id,
        'voice' as service,
        -- The template has no gateway and no direction: the route of a leg is its context, and only the terms
        -- know which way calls go in it.
        case when routes.route is not null then coalesce(routes.direction, 'unknown') end as direction,
        trim(legs.accountcode) as account_id,
        routes.carrier_id,
        legs.origin,
        legs.destination,
        case
            when legs.answer_stamp is not null then 'answered'
            when legs.hangup_cause = 'USER_BUSY' then 'busy'
            when legs.hangup_cause in ('NO_ANSWER', 'NO_USER_RESPONSE') then 'no_answer'
            when legs.hangup_cause in ('ORIGINATOR_CANCEL', 'LOSE_RACE', 'NORMAL_CLEARING') then 'cancelled'
            else 'failed'
        end as event_status,
        'second' as quantity_unit,
        cast(null as string) as vendor_currency,
        cast(
            case when legs.answer_stamp is not null then {{ parse_whole_number('legs.billsec') }} else 0 end
            as decimal(18, 3)
        ) as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        legs.started_at,
        legs.ended_at as received_at,
        legs._loaded_at as loaded_at,
        legs._file_id as file_id,
        legs._record_number as record_number
    from legs_typed as legs
    left join routes
        on {{ route_applies('routes', 'trim(legs.context)', 'legs.started_at') }}

)

select
    *,
    {{ usage_refusal_reason(needs_route=true) }} as refusal_reason
from legs_read
