with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage' and feed = 'opensips_acc'

),

routes as (

    select * from {{ ref('stg_terms__routes') }}
    where feed = 'opensips_acc' and refusal_reason is null

),

transactions as (

    select * from {{ source('usage', 'opensips_acc') }}

),

transactions_typed as (

    select
        transactions.*,
        upper(trim(transactions.method)) as sip_method,
        {{ parse_epoch('transactions.occurred_at') }} as happened_at,
        case upper(trim(transactions.method)) when 'INVITE' then 1 else 2 end as place,
        {{ to_e164('transactions.cgr_destination', 'declared') }} as number,
        -- Who hangs up sends the BYE, and then its own tag is the first one.
        transactions.callid
        || '|' || least(transactions.from_tag, coalesce(transactions.to_tag, ''))
        || '|' || greatest(transactions.from_tag, coalesce(transactions.to_tag, '')) as dialog_key
    from transactions
    cross join declared

),

-- A call is an answered INVITE and the BYE of the same dialog, whichever file brings it.
dialogs_paired as (

    select
        *,
        min(case when sip_method = 'INVITE' and sip_code like '2%' then happened_at end) over (
            partition by dialog_key
        ) as answered_at,
        min(case when sip_method = 'BYE' then happened_at end) over (partition by dialog_key) as ended_at
    from transactions_typed

),

calls_identified as (

    select
        *,
        -- Attempts that fail one after the other may share their tags, or have none.
        case
            when answered_at is null then dialog_key || '|' || occurred_at || '|' || sip_code
            else dialog_key
        end as source_event_id
    from dialogs_paired

),

-- The rows of a call are staged as copies of one event, each with what only the INVITE says.
calls_completed as (

    select
        *,
        first_value(cgr_account) over (partition by source_event_id order by place, happened_at) as account,
        first_value(cgr_supplier) over (partition by source_event_id order by place, happened_at) as route,
        first_value(number) over (partition by source_event_id order by place, happened_at) as destination
    from calls_identified

),

calls_read as (

    select
        'opensips_acc' as feed,
        calls.source_event_id,
        'voice' as service,
        case when routes.route is not null then 'outbound' end as direction,
        trim(calls.account) as account_id,
        routes.carrier_id,
        cast(null as string) as origin,
        calls.destination,
        case
            when calls.sip_method not in ('INVITE', 'BYE') then calls.sip_method
            when calls.ended_at is not null then 'answered'
            when calls.answered_at is not null then 'pending'
            when calls.sip_code in ('486', '600') then 'busy'
            when calls.sip_code in ('408', '480') then 'no_answer'
            when calls.sip_code = '487' then 'cancelled'
            else 'failed'
        end as event_status,
        'second' as quantity_unit,
        cast(null as string) as vendor_currency,
        case
            when calls.ended_at is not null then {{ seconds_between('calls.answered_at', 'calls.ended_at') }}
            else 0
        end as quantity,
        cast(null as decimal(18, 8)) as vendor_amount,
        coalesce(calls.answered_at, calls.happened_at) as started_at,
        coalesce(calls.ended_at, calls.answered_at, calls.happened_at) as received_at,
        calls.sip_method = 'BYE' and calls.answered_at is null as is_without_invite,
        calls._loaded_at as loaded_at,
        calls._file_id as file_id,
        calls._record_number as record_number
    from calls_completed as calls
    left join routes
        on {{ route_applies(
            'routes', 'trim(calls.route)', 'coalesce(calls.answered_at, calls.happened_at)', "'outbound'"
        ) }}

)

select
    *,
    coalesce(
        case when is_without_invite then 'invite_missing' end,
        {{ usage_refusal_reason(needs_route=true) }}
    ) as refusal_reason
from calls_read
