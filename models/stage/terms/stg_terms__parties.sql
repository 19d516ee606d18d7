with parties as (

    select * from {{ ref('parties') }}

),

parties_read as (

    select
        trim(party_id) as party_id,
        trim(party_name) as party_name,
        upper(trim(country_code)) as country_code,
        coalesce(try_cast(is_carrier as boolean), false) as is_carrier,
        coalesce(try_cast(is_partner as boolean), false) as is_partner,
        count(*) over (partition by trim(party_id)) as same_party_count
    from parties

)

select
    party_id,
    party_name,
    country_code,
    case
        when party_id is null then 'party_id_missing'
        when same_party_count > 1 then 'party_repeated'
        when not is_carrier and not is_partner then 'party_without_role'
    end as refusal_reason,
    is_carrier,
    is_partner
from parties_read
