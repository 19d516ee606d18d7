with feeds as (

    select * from {{ source('ingest', 'feeds') }}

)

select
    kind,
    feed,
    decimal_mark,
    time_zone,
    international_prefix,
    national_prefix,
    calling_code,
    money_sign,
    expected_every_hours
from feeds
