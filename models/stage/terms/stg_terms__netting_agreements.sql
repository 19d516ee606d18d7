with

parties_on_both_sides as (

    select party_id from {{ ref('stg_terms__parties') }}
    where refusal_reason is null and is_carrier and is_partner

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

netting_agreements as (

    select
        trim(party_id) as party_id,
        upper(trim(netting_currency)) as netting_currency,
        coalesce({{ parse_whole_number('fx_days_after_month') }}, 0) as fx_days_after_month,
        fx_days_after_month as fx_days_text,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('netting_agreements') }}

),

neighbours_seen as (

    select
        *,
        {{ previous_until('party_id') }} as previous_until_date,
        {{ next_from('party_id') }} as next_from_date
    from netting_agreements

)

select
    party_id,
    netting_currency,
    fx_days_after_month,
    case
        when party_id is null then 'key_missing'
        when
            party_id not in (select parties_on_both_sides.party_id from parties_on_both_sides)
            then 'party_has_not_both_roles'
        when
            netting_currency is null
            or netting_currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when
            fx_days_text is not null
            and coalesce({{ parse_whole_number('fx_days_text') }} not between 0 and 60, true)
            then 'fx_days_unreadable'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
