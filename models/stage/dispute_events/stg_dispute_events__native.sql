with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

events_written as (

    select
        *,
        {{ number_written('amount') }} as amount_written
    from {{ source('dispute_events', 'native') }}

),

events_read as (

    select
        'native' as feed,
        trim(dispute_id) as dispute_id,
        lower(trim(event_type)) as event_type,
        try_cast(event_date as date) as event_date,
        amount_written,
        trim(amount) is not null as has_amount,
        try_cast(amount_written as decimal(18, 6)) as event_amount,
        upper(trim(currency)) as event_currency,
        trim(reference) as reference,
        trim(note) as note,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from events_written

),

events_judged as (

    select
        *,
        case
            when event_type not in (
                'raised', 'acknowledged', 'accepted', 'partly_accepted', 'rejected', 'escalated', 'withdrawn',
                'resolved'
            ) then 'event_type_unreadable'
            when event_date is null then 'event_date_unreadable'
            when has_amount and (event_amount is null or event_amount < 0) then 'amount_unreadable'
            -- A seventh decimal would be rounded away unseen.
            when amount_written != event_amount then 'amount_has_more_than_6_decimals'
            when event_type = 'partly_accepted' and event_amount is null then 'amount_missing'
            when event_currency not in (select known_currencies.currency_code from known_currencies)
                then 'currency_unknown'
        end as reading_refusal_reason
    from events_read

),

copies_numbered as (

    -- The same step of the same day is one step. Only readable copies count, and of them the latest.
    select
        *,
        row_number() over (
            partition by dispute_id, event_type, event_date, reading_refusal_reason is null
            order by loaded_at desc, file_id desc, record_number desc
        ) as copy_number
    from events_judged

)

select
    *,
    case
        when reading_refusal_reason is not null then reading_refusal_reason
        when copy_number > 1 then 'dispute_event_repeated'
    end as refusal_reason
from copies_numbered
