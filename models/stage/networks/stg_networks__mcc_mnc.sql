with networks as (

    select
        'mcc_mnc' as feed,
        trim(mcc) as mcc,
        -- As written: 01, 001 and 1 are three networks.
        trim(mnc) as mnc,
        trim(network) as network_name,
        upper(trim(iso)) as country_code,
        trim(country) as country_name,
        trim(country_code) as calling_code,
        _loaded_at as loaded_at,
        _file_id as file_id,
        _record_number as record_number
    from {{ source('networks', 'mcc_mnc') }}

)

select
    feed,
    mcc,
    mnc,
    network_name,
    country_code,
    country_name,
    calling_code,
    case
        when not ({{ is_digits('mcc') }} and length(mcc) = 3) then 'mcc_unreadable'
        when not ({{ is_digits('mnc') }} and length(mnc) <= 3) then 'mnc_unreadable'
        when row_number() over (partition by file_id, mcc, mnc order by record_number) > 1
            then 'network_repeated'
    end as refusal_reason,
    loaded_at,
    file_id,
    record_number
from networks
