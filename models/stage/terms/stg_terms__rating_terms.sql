with rating_terms as (

    select
        trim(agreement_id) as agreement_id,
        trim(service) as service,
        trim(direction) as direction,
        {{ counted_unit('trim(quantity_unit)') }} as quantity_unit,
        coalesce(trim(increment_method), 'residual') as increment_method,
        trim(charged_on) as charged_on,
        {{ counted_quantity(
            'try_cast(minimum_quantity as decimal(18, 3))', 'trim(quantity_unit)',
            'try_cast(minimum_quantity as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as minimum_quantity,
        {{ counted_quantity(
            'try_cast(increment_quantity as decimal(18, 3))', 'trim(quantity_unit)',
            'try_cast(increment_quantity as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as increment_quantity,
        coalesce(trim(quantity_rounding), 'none') as quantity_rounding,
        trim(increment_rounding_mode) as increment_rounding_mode,
        {{ parse_whole_number('increment_rounding_decimals') }} as increment_rounding_decimals,
        {{ counted_quantity(
            "try_cast(coalesce(free_quantity, '0') as decimal(18, 3))", 'trim(quantity_unit)',
            "try_cast(coalesce(free_quantity, '0') as decimal(38, 15))", 'decimal(18, 3)'
        ) }} as free_quantity,
        try_cast(coalesce(attempt_fee_amount, '0') as decimal(18, 8)) as attempt_fee_amount,
        coalesce(trim(attempt_fee_scope), 'every_attempt') as attempt_fee_scope,
        count(*) over (partition by trim(agreement_id), trim(service), trim(direction)) as same_terms_count
    from {{ ref('rating_terms') }}

)

select
    agreement_id,
    service,
    direction,
    quantity_unit,
    increment_method,
    charged_on,
    quantity_rounding,
    increment_rounding_mode,
    attempt_fee_scope,
    case
        when agreement_id is null or service is null or direction is null then 'key_missing'
        when same_terms_count > 1 then 'terms_overlap'
        when increment_method not in ('residual', 'whole_duration') then 'increment_method_unknown'
        when not {{ is_service('service') }} then 'service_unknown'
        when not {{ is_counted_unit('quantity_unit') }} then 'quantity_unit_unknown'
        when charged_on is null or charged_on not in ('answered', 'delivered', 'submitted', 'succeeded')
            then 'charged_on_unknown'
        when quantity_rounding not in ('none', 'up', 'half_up') then 'quantity_rounding_unknown'
        when
            increment_rounding_mode not in ('half_up', 'half_even', 'up', 'down')
            or (increment_rounding_mode is null) != (increment_rounding_decimals is null)
            or increment_rounding_decimals not between 0 and 12
            then 'increment_rounding_unreadable'
        when free_quantity is null or free_quantity < 0 then 'free_quantity_unreadable'
        -- What of a started increment is free would have no price of its own.
        when free_quantity > 0 and increment_rounding_mode is not null
            then 'free_quantity_with_increment_rounding'
        when attempt_fee_amount is null or attempt_fee_amount < 0 then 'attempt_fee_unreadable'
        when attempt_fee_scope not in ('every_attempt', 'failed_attempt', 'final_attempt')
            then 'attempt_fee_scope_unknown'
        when minimum_quantity is null or minimum_quantity < 0 or minimum_quantity > 1000000000000
            then 'minimum_quantity_unreadable'
        when increment_quantity is null or increment_quantity <= 0 or increment_quantity > 1000000000000
            then 'increment_quantity_unreadable'
    end as refusal_reason,
    increment_rounding_decimals,
    minimum_quantity,
    increment_quantity,
    free_quantity,
    attempt_fee_amount
from rating_terms
