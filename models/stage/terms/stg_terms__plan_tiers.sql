with plan_tiers as (

    select
        trim(plan_id) as plan_id,
        try_cast(tier_number as integer) as tier_number,
        try_cast(up_to_quantity as decimal(18, 3)) as up_to_quantity,
        try_cast(unit_amount as decimal(18, 8)) as unit_amount,
        coalesce(try_cast(flat_amount as decimal(18, 8)), 0) as flat_amount,
        up_to_quantity as up_to_text,
        unit_amount as unit_amount_text
    from {{ ref('plan_tiers') }}

),

neighbours_seen as (

    select
        *,
        lag(up_to_quantity) over (partition by plan_id order by tier_number nulls last)
            as previous_up_to_quantity,
        row_number() over (partition by plan_id order by tier_number nulls last) as tier_position,
        count(*) over (partition by plan_id) as tier_count
    from plan_tiers

)

select
    plan_id,
    case
        when plan_id is null or tier_number is null then 'key_missing'
        when tier_number != tier_position then 'tiers_not_numbered_from_1'
        when unit_amount is null then 'unit_amount_unreadable'
        when try_cast(unit_amount_text as decimal(38, 18)) != unit_amount
            then 'unit_amount_has_more_than_8_decimals'
        when up_to_text is not null and up_to_quantity is null then 'up_to_quantity_unreadable'
        when tier_position < tier_count and up_to_quantity is null then 'open_tier_before_the_last'
        when tier_position = tier_count and up_to_quantity is not null then 'last_tier_not_open'
        when up_to_quantity <= coalesce(previous_up_to_quantity, 0) then 'tiers_not_rising'
    end as refusal_reason,
    tier_number,
    coalesce(previous_up_to_quantity, 0) as above_quantity,
    up_to_quantity,
    unit_amount,
    flat_amount
from neighbours_seen
