with

known_countries as (

    select country_code from {{ ref('countries') }}

),

participation_rules as (

    select
        trim(participation_id) as participation_id,
        trim(participant_partner_id) as participant_partner_id,
        lower(trim(participant_role)) as participant_role,
        trim(seller_partner_id) as seller_partner_id,
        trim(account_id) as account_id,
        lower(trim(service)) as service,
        lower(trim(direction)) as direction,
        upper(trim(country_code)) as country_code,
        trim(carrier_id) as carrier_id,
        {{ parse_whole_number("coalesce(priority, '1')") }} as priority,
        try_cast(coalesce(trim(is_exclusive), 'false') as boolean) as is_exclusive,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('participation_rules') }}

),

neighbours_seen as (

    select
        *,
        {{ previous_until('participation_id') }} as previous_until_date,
        {{ next_from('participation_id') }} as next_from_date
    from participation_rules

)

select
    participation_id,
    participant_partner_id,
    participant_role,
    seller_partner_id,
    account_id,
    service,
    direction,
    country_code,
    carrier_id,
    priority,
    is_exclusive,
    case
        when participation_id is null or participant_partner_id is null or participant_role is null
            then 'key_missing'
        when not ({{ is_role('participant_role') }}) then 'participant_role_unreadable'
        when not ({{ is_service('service') }}) then 'service_unknown'
        when direction not in ('outbound', 'inbound') then 'direction_unknown'
        when country_code not in (select known_countries.country_code from known_countries)
            then 'country_unknown'
        when priority is null then 'priority_unreadable'
        when is_exclusive is null then 'is_exclusive_unreadable'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    valid_from_date,
    valid_until_date
from neighbours_seen
