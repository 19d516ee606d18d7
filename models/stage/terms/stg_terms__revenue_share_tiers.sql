with share_tiers as (

    select
        trim(rule_id) as rule_id,
        {{ parse_whole_number('tier_number') }} as tier_number,
        {{ number_written('up_to_quantity') }} as up_to_written,
        {{ number_written('share_ratio') }} as ratio_written,
        {{ number_written('unit_amount') }} as unit_written,
        try_cast({{ number_written('up_to_quantity') }} as decimal(18, 6)) as up_to_quantity,
        try_cast({{ number_written('share_ratio') }} as decimal(9, 6)) as share_ratio,
        try_cast({{ number_written('unit_amount') }} as decimal(18, 8)) as unit_amount,
        up_to_quantity as up_to_text,
        share_ratio as ratio_text,
        unit_amount as unit_text
    from {{ ref('revenue_share_tiers') }}

),

neighbours_seen as (

    select
        *,
        lag(up_to_quantity) over (partition by rule_id order by tier_number nulls last)
            as previous_up_to_quantity,
        row_number() over (partition by rule_id order by tier_number nulls last) as tier_position,
        count(*) over (partition by rule_id) as tier_count
    from share_tiers

)

select
    rule_id,
    case
        when rule_id is null or tier_number is null then 'key_missing'
        when tier_number != tier_position then 'tiers_not_numbered_from_1'
        when up_to_text is not null and (up_to_quantity is null or up_to_written != up_to_quantity)
            then 'up_to_quantity_unreadable'
        when
            ratio_text is not null
            and (share_ratio is null or ratio_written != share_ratio or share_ratio not between 0 and 1)
            then 'share_ratio_unreadable'
        when unit_text is not null and (unit_amount is null or unit_written != unit_amount or unit_amount < 0)
            then 'unit_amount_unreadable'
        when share_ratio is null and unit_amount is null then 'share_ratio_unreadable'
        when share_ratio is not null and unit_amount is not null then 'column_not_of_this_share_kind'
        when tier_position < tier_count and up_to_quantity is null then 'open_tier_before_the_last'
        when tier_position = tier_count and up_to_quantity is not null then 'last_tier_not_open'
        when up_to_quantity <= coalesce(previous_up_to_quantity, 0) then 'tiers_not_rising'
    end as refusal_reason,
    tier_number,
    coalesce(previous_up_to_quantity, 0) as above_quantity,
    up_to_quantity,
    share_ratio,
    unit_amount
from neighbours_seen
