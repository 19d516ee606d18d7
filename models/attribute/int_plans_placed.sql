-- One row per partner, service, direction, product, country and stretch of time in which one plan of usage
-- is the closest, with that plan, or with the mark that it was refused. From the specific to the general:
-- a plan for the product of the account beats one for all; of those, the one for the country of the
-- destination, then the one for a region that it lies in, then the one for all. A refused plan keeps its
-- place: what it would have charged is uncharged, and not charged by the next more general one. Only
-- products and countries that some plan of the partner tells apart have rows; all others go by *.
with

plans as (

    select
        *,
        refusal_reason is not null as is_refused
    from {{ ref('int_plans_resolved') }}
    where
        coalesce(pricing_model, '') != 'flat'
        and partner_id is not null
        and valid_from_date < valid_until_date

),

regions as (

    select * from {{ ref('stg_terms__regions') }}
    where refusal_reason is null

),

-- Each plan with each country that it is for; * is every other one.
regions_unfolded as (

    select
        plans.*,
        coalesce(regions.country_code, plans.country_code) as place_code,
        case
            when regions.country_code is not null then 2
            when plans.country_code = '*' then 3
            else 1
        end as place_rank
    from plans
    left join regions
        on plans.region = regions.region
    where plans.region is null or regions.country_code is not null

),

products as (

    select distinct
        partner_id,
        product
    from plans
    union
    select distinct
        partner_id,
        '*' as product
    from plans

),

places as (

    select distinct
        partner_id,
        service,
        direction,
        place_code
    from regions_unfolded
    union
    select distinct
        partner_id,
        service,
        direction,
        '*' as place_code
    from regions_unfolded

),

candidates as (

    select
        places.partner_id,
        places.service,
        places.direction,
        products.product,
        places.place_code,
        regions_unfolded.plan_id,
        regions_unfolded.is_refused,
        case when regions_unfolded.product = '*' then 2 else 1 end as product_rank,
        regions_unfolded.place_rank,
        regions_unfolded.valid_from_date,
        regions_unfolded.valid_until_date
    from places
    inner join products
        on places.partner_id = products.partner_id
    inner join regions_unfolded
        on
            places.partner_id = regions_unfolded.partner_id
            and places.service = regions_unfolded.service
            and places.direction = regions_unfolded.direction
            and regions_unfolded.product in (products.product, '*')
            and regions_unfolded.place_code in (places.place_code, '*')

),

days_of_change as (

    select
        partner_id,
        service,
        direction,
        product,
        place_code,
        valid_from_date as first_date
    from candidates
    union
    select
        partner_id,
        service,
        direction,
        product,
        place_code,
        valid_until_date as first_date
    from candidates

),

stretches as (

    select
        *,
        lead(first_date) over (
            partition by partner_id, service, direction, product, place_code order by first_date
        ) as until_date
    from days_of_change

),

plans_placed as (

    select
        stretches.partner_id,
        stretches.service,
        stretches.direction,
        stretches.product,
        stretches.place_code,
        candidates.plan_id,
        candidates.is_refused,
        stretches.first_date as valid_from_date,
        stretches.until_date as valid_until_date
    from stretches
    inner join candidates
        on
            stretches.partner_id = candidates.partner_id
            and stretches.service = candidates.service
            and stretches.direction = candidates.direction
            and stretches.product = candidates.product
            and stretches.place_code = candidates.place_code
            and stretches.first_date >= candidates.valid_from_date
            and stretches.first_date < candidates.valid_until_date
    qualify row_number() over (
        partition by
            stretches.partner_id, stretches.service, stretches.direction, stretches.product,
            stretches.place_code, stretches.first_date
        order by
            candidates.product_rank, candidates.place_rank, candidates.is_refused, candidates.plan_id
    ) = 1

)

select
    plans_placed.partner_id,
    plans_placed.service,
    plans_placed.direction,
    plans_placed.product,
    plans_placed.place_code,
    plans.plan_id,
    plans.currency,
    plans.charged_on,
    plans.counted_unit,
    plans.pricing_model,
    plans.priced_on,
    plans.minimum_quantity,
    plans.increment_quantity,
    plans_placed.is_refused,
    plans_placed.valid_from_date,
    plans_placed.valid_until_date
from plans_placed
left join plans
    on plans_placed.plan_id = plans.plan_id and not plans_placed.is_refused and not plans.is_refused
