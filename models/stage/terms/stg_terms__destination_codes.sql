with

destination_codes as (

    select
        trim(carrier_id) as carrier_id,
        trim(destination_name) as destination_name,
        trim(leading '+' from trim(dial_code)) as dial_code
    from {{ ref('destination_codes') }}

),

copies_counted as (

    select
        *,
        count(*) over (partition by carrier_id, lower(destination_name), dial_code) as same_code_count
    from destination_codes

)

select
    carrier_id,
    destination_name,
    dial_code,
    case
        when carrier_id is null or destination_name is null or dial_code is null then 'key_missing'
        when not {{ is_digits('dial_code') }} or length(dial_code) > 15 then 'dial_code_unreadable'
        when same_code_count > 1 then 'terms_overlap'
    end as refusal_reason
from copies_counted
