-- One row per plan with all that was agreed about its pricing: its own row, its options, and their defaults
-- where it has none. A plan one of whose rows cannot be applied is no plan: a hole in its tiers, or a minimum
-- that nobody can read, would charge part of the usage wrongly and unseen.
{% set typed_options = {
    'aggregate_by': 'string',
    'priced_on': 'string',
    'conversion_operation': 'string',
    'conversion_factor': 'decimal(18, 6)',
    'quantity_rounding_mode': 'string',
    'quantity_rounding_decimals': 'integer',
    'free_quantity': 'decimal(18, 6)',
    'package_rounding': 'string',
    'charges_flat_at_zero': 'boolean',
    'prorates_quantity': 'boolean',
    'event_fee_amount': 'decimal(18, 8)',
    'free_events': 'integer',
    'free_amount': 'decimal(18, 8)',
    'minimum_event_amount': 'decimal(18, 8)',
    'maximum_event_amount': 'decimal(18, 8)',
    'record_rounding_mode': 'string',
    'record_rounding_decimals': 'integer',
    'discount_ratio': 'decimal(18, 6)',
    'line_rounding_mode': 'string',
    'line_rounding_decimals': 'integer',
    'minimum_commitment_amount': 'decimal(18, 8)',
    'trues_up': 'boolean',
    'overage_ratio': 'decimal(18, 6)',
    'prorates_commitment': 'boolean',
    'maximum_amount': 'decimal(18, 8)',
    'prorates_flat': 'boolean',
    'pricing_basis': 'string',
    'correction_posting': 'string',
} %}

with

plans as (

    select * from {{ ref('stg_terms__plans') }}

),

options_given as (

    select * from {{ ref('stg_terms__plan_options') }}
    where refusal_reason is null

),

-- What holds of each plan and option: what it says, else the default of the option.
options_held as (

    select
        plans.plan_id,
        kinds.option_name,
        options_given.option_value is not null as is_given,
        coalesce(options_given.option_value, kinds.default_value) as option_value
    from plans
    inner join {{ ref('plan_option_kinds') }} as kinds
        on
            kinds.pricing_models = '*'
            or ' ' || kinds.pricing_models || ' ' like '% ' || plans.pricing_model || ' %'
    left join options_given
        on
            plans.plan_id = options_given.plan_id
            and kinds.option_name = options_given.option_name
    where plans.refusal_reason is null

),

options_typed as (

    select
        plan_id,
        {% for option, type in typed_options.items() %}
            cast(max(case when option_name = '{{ option }}' then option_value end) as {{ type }})
                as {{ option }},
        {% endfor %}
        coalesce(
            bool_or(is_given and option_name in ('trues_up', 'overage_ratio', 'prorates_commitment')), false
        ) as says_how_to_commit
    from options_held
    group by plan_id

),

options_refused as (

    select distinct plan_id from {{ ref('stg_terms__plan_options') }}
    where refusal_reason is not null

),

regions_refused as (

    select distinct region from {{ ref('stg_terms__regions') }}
    where region is not null and refusal_reason != 'region_repeated'

),

-- Two plans for regions that have a country in common, at one time: which of them is closer to it?
regions_shared as (

    select distinct plans.plan_id
    from plans
    inner join {{ ref('stg_terms__regions') }} as regions
        on plans.region = regions.region and regions.refusal_reason is null
    inner join {{ ref('stg_terms__regions') }} as other_regions
        on regions.country_code = other_regions.country_code and other_regions.refusal_reason is null
    inner join plans as other_plans
        on
            other_regions.region = other_plans.region
            and plans.partner_id = other_plans.partner_id
            and plans.service = other_plans.service
            and plans.direction = other_plans.direction
            and plans.product = other_plans.product
            and plans.region != other_plans.region
            and plans.valid_from_date < other_plans.valid_until_date
            and plans.valid_until_date > other_plans.valid_from_date
    where
        plans.refusal_reason is null
        and other_plans.refusal_reason is null
        and plans.pricing_model != 'flat'
        and other_plans.pricing_model != 'flat'

),

tiers_counted as (

    select
        plan_id,
        count(*) as tier_count,
        count(refusal_reason) as refused_tier_count,
        count(block_quantity) as block_count
    from {{ ref('stg_terms__plan_tiers') }}
    group by plan_id

),

plans_resolved as (

    select
        plans.plan_id,
        plans.partner_id,
        plans.service,
        plans.direction,
        plans.country_code,
        plans.region,
        plans.product,
        plans.currency,
        plans.pricing_model,
        plans.quantity_unit,
        plans.counted_unit,
        plans.charged_on,
        case
            when plans.refusal_reason is not null then plans.refusal_reason
            when plans.plan_id in (select regions_shared.plan_id from regions_shared)
                then 'regions_overlap'
            -- For which countries it would be, nobody can tell.
            when plans.region in (select regions_refused.region from regions_refused)
                then 'region_row_refused'
            when tiers_counted.plan_id is null and plans.pricing_model != 'lines' then 'plan_without_tiers'
            when tiers_counted.refused_tier_count > 0 then 'tier_refused'
            when options_refused.plan_id is not null then 'option_refused'
            when
                (options_typed.conversion_operation is null)
                != (options_typed.conversion_factor is null)
                then 'quantity_conversion_incomplete'
            when
                (options_typed.quantity_rounding_mode is null)
                != (options_typed.quantity_rounding_decimals is null)
                or (options_typed.record_rounding_mode is null)
                != (options_typed.record_rounding_decimals is null)
                then 'rounding_incomplete'
            when options_typed.maximum_amount < options_typed.minimum_commitment_amount
                then 'maximum_below_commitment'
            when options_typed.minimum_commitment_amount is null and options_typed.says_how_to_commit
                then 'commitment_missing'
            when options_typed.maximum_event_amount < options_typed.minimum_event_amount
                then 'event_maximum_below_minimum'
            -- The price follows what each event moves; what is converted or free of a sum has no place in it.
            when
                options_typed.prorates_quantity
                and (
                    options_typed.conversion_operation is not null
                    or options_typed.quantity_rounding_mode is not null
                    or options_typed.free_quantity > 0
                    or tiers_counted.block_count > 0
                    or plans.counted_per_unit > 1
                    or options_typed.correction_posting = 'original_period'
                )
                then 'prorated_quantity_with_other_options'
            when
                options_typed.pricing_basis = 'run_quantity'
                and (
                    options_typed.free_quantity > 0
                    or options_typed.minimum_commitment_amount is not null
                    or options_typed.maximum_amount is not null
                    or options_typed.aggregate_by != 'period'
                    or options_typed.correction_posting = 'original_period'
                )
                then 'run_quantity_with_other_options'
            when
                options_typed.correction_posting = 'original_period'
                and (options_typed.aggregate_by != 'period' or options_typed.prorates_commitment)
                then 'original_period_with_other_options'
        end as refusal_reason,
        plans.minimum_quantity,
        plans.increment_quantity,
        plans.priced_per_quantity,
        plans.counted_per_unit,
        {% for option in typed_options %}
            options_typed.{{ option }},
        {% endfor %}
        plans.valid_from_date,
        plans.valid_until_date
    from plans
    left join options_typed
        on plans.plan_id = options_typed.plan_id
    left join tiers_counted
        on plans.plan_id = tiers_counted.plan_id
    left join options_refused
        on plans.plan_id = options_refused.plan_id

)

select * from plans_resolved
