with accounts as (

    select
        trim(account_id) as account_id,
        trim(partner_id) as partner_id,
        nullif(trim(product), '') as product,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('accounts') }}

),

neighbours_seen as (

    select
        *,
        max(valid_until_date) over (
            partition by account_id order by valid_from_date nulls last, valid_until_date
            rows between unbounded preceding and 1 preceding
        ) as previous_until_date,
        lead(valid_from_date) over (
            partition by account_id order by valid_from_date nulls last, valid_until_date
        ) as next_from_date
    from accounts

)

select
    account_id,
    partner_id,
    product,
    case
        when account_id is null or partner_id is null then 'key_missing'
        when valid_from_date is null or valid_until_date <= valid_from_date then 'validity_unreadable'
        when valid_until_text is not null and try_cast(valid_until_text as date) is null
            then 'validity_unreadable'
        when previous_until_date > valid_from_date or next_from_date < valid_until_date
            then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
