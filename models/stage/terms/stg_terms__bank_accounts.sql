with

known_parties as (

    select party_id from {{ ref('stg_terms__parties') }}
    where refusal_reason is null

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

accounts as (

    select
        trim(party_id) as party_id,
        upper(trim(currency)) as currency,
        trim(account_holder) as account_holder,
        upper(replace(trim(iban), ' ', '')) as iban,
        upper(trim(bic)) as bic,
        count(*) over (partition by trim(party_id), upper(trim(currency))) as same_account_count
    from {{ ref('bank_accounts') }}

)

select
    party_id,
    currency,
    account_holder,
    iban,
    bic,
    case
        when party_id is null or account_holder is null then 'key_missing'
        when
            party_id != 'us'
            and party_id not in (select known_parties.party_id from known_parties)
            then 'party_unknown'
        when
            currency is null
            or currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when same_account_count > 1 then 'terms_overlap'
        when iban is null or length(iban) not between 15 and 34 then 'iban_unreadable'
        when bic is not null and length(bic) not in (8, 11) then 'bic_unreadable'
    end as refusal_reason
from accounts
