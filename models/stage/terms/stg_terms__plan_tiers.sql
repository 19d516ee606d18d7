with

plans as (

    -- A plan that is there twice is refused as a whole; its tiers still belong to one model.
    select
        plan_id,
        min(pricing_model) as pricing_model,
        min(priced_per_quantity) as priced_per_quantity
    from {{ ref('stg_terms__plans') }}
    group by plan_id

),

plan_tiers as (

    select
        trim(plan_id) as plan_id,
        try_cast(tier_number as integer) as tier_number,
        try_cast(up_to_quantity as decimal(18, 6)) as up_to_quantity,
        try_cast(unit_amount as decimal(18, 8)) as unit_amount,
        try_cast(flat_amount as decimal(18, 8)) as flat_amount,
        try_cast(block_quantity as decimal(18, 6)) as block_quantity,
        try_cast(rate_ratio as decimal(18, 8)) as rate_ratio,
        up_to_quantity as up_to_text,
        unit_amount as unit_amount_text,
        flat_amount as flat_amount_text,
        block_quantity as block_text,
        rate_ratio as rate_ratio_text
    from {{ ref('plan_tiers') }}

),

neighbours_seen as (

    select
        plan_tiers.*,
        plans.pricing_model,
        plans.priced_per_quantity,
        lag(plan_tiers.up_to_quantity)
            over (partition by plan_tiers.plan_id order by plan_tiers.tier_number nulls last)
            as previous_up_to_quantity,
        row_number() over (partition by plan_tiers.plan_id order by plan_tiers.tier_number nulls last)
            as tier_position,
        count(*) over (partition by plan_tiers.plan_id) as tier_count
    from plan_tiers
    left join plans
        on plan_tiers.plan_id = plans.plan_id

)

select
    plan_id,
    case
        when plan_id is null or tier_number is null then 'key_missing'
        when tier_number != tier_position then 'tiers_not_numbered_from_1'
        when
            unit_amount < 0
            or (unit_amount is null and unit_amount_text is not null)
            or (
                unit_amount is null
                and coalesce(pricing_model, 'per_unit') in ('per_unit', 'package', 'graduated', 'volume')
            )
            then 'unit_amount_unreadable'
        when try_cast(unit_amount_text as decimal(38, 18)) != unit_amount
            then 'unit_amount_has_more_than_8_decimals'
        when
            flat_amount < 0
            or (flat_amount is null and flat_amount_text is not null)
            or (flat_amount is null and pricing_model in ('capacity', 'flat'))
            or try_cast(flat_amount_text as decimal(38, 18)) != flat_amount
            then 'flat_amount_unreadable'
        when
            block_quantity <= 0
            or (block_quantity is null and block_text is not null)
            or (block_quantity is null and pricing_model = 'package')
            or try_cast(block_text as decimal(38, 18)) != block_quantity
            then 'block_quantity_unreadable'
        when
            rate_ratio < 0
            or (rate_ratio is null and rate_ratio_text is not null)
            or (rate_ratio is null and pricing_model in ('percentage', 'graduated_percentage'))
            or try_cast(rate_ratio_text as decimal(38, 18)) != rate_ratio
            then 'rate_ratio_unreadable'
        when up_to_text is not null and up_to_quantity is null then 'up_to_quantity_unreadable'
        when try_cast(up_to_text as decimal(38, 18)) != up_to_quantity then 'up_to_quantity_unreadable'
        when pricing_model = 'lines' then 'tier_of_a_model_without_prices'
        when tier_count > 1 and pricing_model in ('per_unit', 'package', 'percentage', 'flat')
            then 'tiers_of_a_model_with_one_price'
        when
            (unit_amount != 0 and pricing_model not in ('per_unit', 'package', 'graduated', 'volume'))
            or (flat_amount != 0 and pricing_model in ('package', 'percentage'))
            or (block_quantity is not null and pricing_model not in ('package', 'graduated', 'volume'))
            or (rate_ratio is not null and pricing_model not in ('percentage', 'graduated_percentage'))
            then 'price_of_another_model'
        when tier_position < tier_count and up_to_quantity is null then 'open_tier_before_the_last'
        when tier_position = tier_count and up_to_quantity is not null then 'last_tier_not_open'
        when up_to_quantity <= coalesce(previous_up_to_quantity, 0) then 'tiers_not_rising'
        when block_quantity is not null and priced_per_quantity != 1 then 'block_with_priced_per_quantity'
        when
            cast(up_to_quantity - coalesce(previous_up_to_quantity, 0) as decimal(38, 6))
            % cast(block_quantity as decimal(38, 6)) != 0
            then 'tier_is_no_multiple_of_its_block'
    end as refusal_reason,
    tier_number,
    coalesce(previous_up_to_quantity, 0) as above_quantity,
    up_to_quantity,
    coalesce(unit_amount, 0) as unit_amount,
    coalesce(flat_amount, 0) as flat_amount,
    block_quantity,
    coalesce(rate_ratio, 0) as rate_ratio
from neighbours_seen
