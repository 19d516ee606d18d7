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
        {{ previous_until('account_id') }} as previous_until_date,
        {{ next_from('account_id') }} as next_from_date
    from accounts

)

select
    account_id,
    partner_id,
    product,
    case
        when account_id is null or partner_id is null then 'key_missing'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
