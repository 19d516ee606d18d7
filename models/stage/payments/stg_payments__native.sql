with

parties as (

    select
        party_id,
        is_carrier,
        is_partner
    from {{ ref('stg_terms__parties') }}
    where refusal_reason is null

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

payments_written as (

    select
        *,
        {{ number_written('amount') }} as amount_written
    from {{ source('payments', 'native') }}

),

payments_read as (

    select
        'native' as feed,
        trim(payments_written.party_id) as party_id,
        trim(payments_written.payment_reference) as payment_reference,
        lower(trim(payments_written.direction)) as direction,
        trim(payments_written.invoice_number) as invoice_number,
        upper(trim(payments_written.currency)) as payment_currency,
        payments_written.amount_written,
        try_cast(payments_written.amount_written as decimal(18, 6)) as paid_amount,
        try_cast(payments_written.value_date as date) as value_date,
        parties.party_id is not null as is_party_known,
        coalesce(
            lower(trim(payments_written.settles)),
            -- Whoever has one role leaves no doubt; of a partner, what comes in are charges, what goes out
            -- are shares.
            case
                when parties.is_carrier and not parties.is_partner then 'carrier'
                when parties.is_partner and not parties.is_carrier
                    then
                        case lower(trim(payments_written.direction))
                            when 'received' then 'partner' else 'share'
                        end
            end
        ) as settles,
        case
            when trim(payments_written.settles) is null then true
            when lower(trim(payments_written.settles)) = 'carrier' then coalesce(parties.is_carrier, false)
            else coalesce(parties.is_partner, false)
        end as has_role,
        payments_written._loaded_at as loaded_at,
        payments_written._file_id as file_id,
        payments_written._record_number as record_number
    from payments_written
    left join parties
        on trim(payments_written.party_id) = parties.party_id

),

payments_judged as (

    select
        *,
        case
            when not is_party_known then 'party_unknown'
            when direction not in ('paid', 'received') then 'direction_unreadable'
            when settles is null then 'settles_missing'
            when settles not in ('carrier', 'partner', 'share') then 'settles_unreadable'
            when not has_role then 'party_has_not_this_role'
            when paid_amount is null or paid_amount <= 0 then 'amount_unreadable'
            -- A seventh decimal would be rounded away unseen.
            when amount_written != paid_amount then 'amount_has_more_than_6_decimals'
            when value_date is null then 'value_date_unreadable'
            when payment_currency not in (select known_currencies.currency_code from known_currencies)
                then 'currency_unknown'
        end as reading_refusal_reason
    from payments_read

),

copies_numbered as (

    -- A payment that is sent twice is money only once. Only readable copies count, and of them the latest.
    select
        *,
        row_number() over (
            partition by party_id, payment_reference, reading_refusal_reason is null
            order by loaded_at desc, file_id desc, record_number desc
        ) as copy_number
    from payments_judged

)

select
    *,
    case
        when reading_refusal_reason is not null then reading_refusal_reason
        when copy_number > 1 then 'payment_repeated'
    end as refusal_reason
from copies_numbered
