with

known_parties as (

    select party_id from {{ ref('stg_terms__parties') }}
    where refusal_reason is null

),

known_countries as (

    select country_code from {{ ref('countries') }}

),

parties as (

    select
        trim(party_id) as party_id,
        trim(legal_name) as legal_name,
        trim(street) as street,
        trim(city) as city,
        trim(postal_code) as postal_code,
        upper(trim(country_code)) as country_code,
        upper(replace(trim(tax_id), ' ', '')) as tax_id,
        trim(registration_scheme) as registration_scheme,
        trim(registration_id) as registration_id,
        upper(trim(endpoint_scheme)) as endpoint_scheme,
        trim(endpoint_id) as endpoint_id,
        upper(replace(trim(payment_account), ' ', '')) as payment_account,
        upper(trim(untaxed_category)) as untaxed_category,
        trim(untaxed_reason) as untaxed_reason,
        trim(self_billing_agreement) as self_billing_agreement,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('invoice_parties') }}

),

neighbours_seen as (

    select
        *,
        {{ previous_until('party_id') }} as previous_until_date,
        {{ next_from('party_id') }} as next_from_date
    from parties

)

select
    party_id,
    legal_name,
    street,
    city,
    postal_code,
    country_code,
    tax_id,
    registration_scheme,
    registration_id,
    endpoint_scheme,
    endpoint_id,
    payment_account,
    untaxed_category,
    untaxed_reason,
    self_billing_agreement,
    case
        when party_id is null or legal_name is null then 'key_missing'
        when
            party_id != 'us'
            and party_id not in (select known_parties.party_id from known_parties)
            then 'party_unknown'
        when
            country_code is null
            or country_code not in (select known_countries.country_code from known_countries)
            then 'country_unknown'
        -- A VAT number begins with its country, that of Greece with EL, that of Northern Ireland with XI.
        when
            substring(tax_id, 1, 2) not in ('EL', 'XI')
            and substring(tax_id, 1, 2) not in (select known_countries.country_code from known_countries)
            then 'tax_id_unreadable'
        when registration_scheme is not null and registration_id is null then 'registration_unreadable'
        when (endpoint_scheme is null) != (endpoint_id is null) then 'endpoint_unreadable'
        when untaxed_category not in ('AE', 'E', 'G', 'O', 'Z') then 'tax_category_unknown'
        when untaxed_category in ('AE', 'E', 'G', 'O') and untaxed_reason is null
            then 'untaxed_reason_missing'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
