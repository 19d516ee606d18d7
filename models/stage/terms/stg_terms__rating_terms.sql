with rating_terms as (

    select
        trim(agreement_id) as agreement_id,
        trim(service) as service,
        trim(direction) as direction,
        trim(quantity_unit) as quantity_unit,
        coalesce(trim(increment_method), 'residual') as increment_method,
        trim(charged_on) as charged_on,
        try_cast(minimum_quantity as decimal(18, 3)) as minimum_quantity,
        try_cast(increment_quantity as decimal(18, 3)) as increment_quantity,
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
    case
        when agreement_id is null or service is null or direction is null then 'key_missing'
        when same_terms_count > 1 then 'terms_overlap'
        when increment_method not in ('residual', 'whole_duration') then 'increment_method_unknown'
        when charged_on is null or charged_on not in ('answered', 'delivered', 'submitted')
            then 'charged_on_unknown'
        when minimum_quantity is null or minimum_quantity < 0 then 'minimum_quantity_unreadable'
        when increment_quantity is null or increment_quantity <= 0 then 'increment_quantity_unreadable'
    end as refusal_reason,
    minimum_quantity,
    increment_quantity
from rating_terms
