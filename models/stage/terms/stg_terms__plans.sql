with

plans as (

    select
        trim(plan_id) as plan_id,
        trim(partner_id) as partner_id,
        trim(service) as service,
        trim(direction) as direction,
        upper(coalesce(trim(country_code), '*')) as country_code,
        nullif(trim(region), '') as region,
        coalesce(nullif(trim(product), ''), '*') as product,
        upper(nullif(trim(currency), '')) as currency,
        trim(pricing_model) as pricing_model,
        trim(quantity_unit) as quantity_unit,
        {{ counted_unit('trim(quantity_unit)') }} as counted_unit,
        {{ counted_per_unit('trim(quantity_unit)') }} as counted_per_unit,
        trim(charged_on) as charged_on,
        {{ counted_quantity(
            'try_cast(minimum_quantity as decimal(18, 3))', 'trim(quantity_unit)',
            'try_cast(minimum_quantity as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as minimum_quantity,
        {{ counted_quantity(
            'try_cast(increment_quantity as decimal(18, 3))', 'trim(quantity_unit)',
            'try_cast(increment_quantity as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as increment_quantity,
        try_cast(priced_per_quantity as integer) as priced_per_quantity,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('plans') }}

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

known_regions as (

    select distinct region from {{ ref('stg_terms__regions') }}
    where refusal_reason is null

),

-- Fees take no usage: any number of them stand beside each other, and beside the plan of the usage.
fees_told as (

    select
        *,
        coalesce(region, country_code) as place_name,
        case when pricing_model = 'flat' then plan_id else '' end as fee_id
    from plans

),

neighbours_seen as (

    select
        *,
        {{ previous_until('partner_id, service, direction, place_name, product, fee_id') }}
            as previous_until_date,
        {{ next_from('partner_id, service, direction, place_name, product, fee_id') }}
            as next_from_date,
        count(*) over (partition by plan_id) as same_plan_count
    from fees_told

)

select
    plan_id,
    partner_id,
    service,
    direction,
    country_code,
    region,
    product,
    currency,
    pricing_model,
    quantity_unit,
    counted_unit,
    charged_on,
    case
        when plan_id is null or partner_id is null then 'key_missing'
        when same_plan_count > 1 then 'plan_repeated'
        when
            pricing_model is null
            or pricing_model not in (
                'per_unit', 'package', 'graduated', 'volume', 'capacity',
                'percentage', 'graduated_percentage', 'lines', 'flat'
            )
            then 'pricing_model_unknown'
        when service is null or not {{ is_service('service') }} then 'service_unknown'
        when direction is null or direction not in ('outbound', 'inbound') then 'direction_unknown'
        when region is not null and country_code != '*' then 'region_beside_country'
        when region is not null and region not in (select known_regions.region from known_regions)
            then 'region_unknown'
        when
            currency is not null
            and currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when
            pricing_model != 'flat'
            and (charged_on is null or charged_on not in ('answered', 'delivered', 'succeeded', 'submitted'))
            then 'charged_on_unknown'
        when
            pricing_model != 'flat'
            and not coalesce({{ is_counted_unit('counted_unit') }}, false)
            then 'quantity_unit_unknown'
        when pricing_model != 'flat' and (minimum_quantity is null or minimum_quantity < 0)
            then 'minimum_quantity_unreadable'
        when pricing_model != 'flat' and (increment_quantity is null or increment_quantity < 0)
            then 'increment_quantity_unreadable'
        -- Without steps there is no first one either.
        when increment_quantity = 0 and minimum_quantity > 0 then 'minimum_without_increment'
        when pricing_model != 'flat' and (priced_per_quantity is null or priced_per_quantity <= 0)
            then 'priced_per_quantity_unreadable'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    minimum_quantity,
    increment_quantity,
    coalesce(priced_per_quantity, 1) as priced_per_quantity,
    counted_per_unit,
    valid_from_date,
    valid_until_date
from neighbours_seen
