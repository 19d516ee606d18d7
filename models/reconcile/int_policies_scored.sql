-- One row per carrier agreement, service, direction and billing period: how many of its invoiced lines the
-- agreed policy reproduces, and which one policy of the carrier reproduces the most of those that it does
-- not: whose days it counts and what it bills, its increments and their first day, its rounding, its deck.
-- The policies are searched one attribute after the other (int_countings_scored, int_increments_scored,
-- int_roundings_scored, int_prices_matched), so the cost follows the disputed traffic.
with

lines as (

    select
        *,
        billing_period_id || ':' || service || ':' || direction as carrier_policy_id
    from {{ ref('int_invoice_lines_matched') }}
    where
        is_invoiced
        and line_type = 'usage'
        and not is_repeated
        and rated_event_count is not null
        and service is not null
        and direction is not null

),

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

countings as (

    select * from {{ ref('int_countings_scored') }}

),

increments as (

    select * from {{ ref('int_increments_scored') }}

),

roundings as (

    select * from {{ ref('int_roundings_scored') }}

),

-- The price that explains most lines, if one explains any that state it.
prices as (

    select
        carrier_policy_id,
        price_name,
        count(distinct invoice_line_id) as line_count
    from {{ ref('int_prices_matched') }}
    where is_reproduced
    group by carrier_policy_id, price_name
    qualify row_number() over (
        partition by carrier_policy_id order by count(distinct invoice_line_id) desc, price_name asc
    ) = 1

),

-- A number that went to another destination and a day that was left out are no policy.
lines_moved as (

    select invoice_line_id
    from {{ ref('int_lines_rerated') }}
    where step_variance_amount != 0 and cause not in ('DIAL_CODE', 'VOLUME')
    group by invoice_line_id

),

-- Lines that the policy brings to events, quantity and amount of the invoice.
lines_at_last as (

    select
        lines.carrier_policy_id,
        lines.invoice_line_id,
        coalesce(
            rerated.amount = lines.invoiced_amount
            and coalesce(rerated.billed_quantity = lines.invoiced_quantity, true)
            and coalesce(rerated.event_count = lines.invoiced_event_count, true), false
        ) and moved.invoice_line_id is not null as is_reproduced,
        lines.invoiced_amount = lines.rated_amount as is_agreed
    from lines
    left join {{ ref('int_lines_rerated') }} as rerated
        on
            lines.invoice_line_id = rerated.invoice_line_id
            and rerated.step_number = 8
    left join lines_moved as moved
        on lines.invoice_line_id = moved.invoice_line_id

),

scored as (

    select
        lines.carrier_policy_id,
        lines.billing_period_id,
        lines.carrier_id,
        lines.agreement_id,
        lines.service,
        lines.direction,
        lines.period_start_date,
        count(*) as line_count,
        count_if(lines_at_last.is_agreed) as agreed_line_count,
        count_if(not lines_at_last.is_agreed) as deviating_line_count,
        count_if(not lines_at_last.is_agreed and lines_at_last.is_reproduced) as reproduced_line_count
    from lines
    inner join lines_at_last
        on lines.invoice_line_id = lines_at_last.invoice_line_id
    group by
        lines.carrier_policy_id, lines.billing_period_id, lines.carrier_id, lines.agreement_id, lines.service,
        lines.direction, lines.period_start_date

),

attributes_joined as (

    select
        scored.carrier_policy_id,
        scored.billing_period_id,
        scored.carrier_id,
        scored.service,
        scored.direction,
        cast(cast(rating_terms.minimum_quantity as integer) as string)
        || '/' || cast(cast(rating_terms.increment_quantity as integer) as string) as agreed_policy_name,
        case when increments.is_adopted then increments.policy_name end as deviating_increments_name,
        case when countings.is_adopted then countings.counting_name end as deviating_counting_name,
        case when roundings.is_adopted then roundings.policy_name end as deviating_rounding_name,
        prices.price_name as deviating_price_name,
        case
            when increments.is_adopted then increments.runner_up_name
            when countings.is_adopted then countings.runner_up_name
            when roundings.is_adopted then roundings.runner_up_name
        end as runner_up_name,
        scored.line_count,
        scored.agreed_line_count,
        scored.deviating_line_count,
        scored.reproduced_line_count,
        case
            when increments.is_adopted then increments.reproduced_line_count - increments.runner_up_line_count
            when countings.is_adopted then countings.reproduced_line_count - countings.runner_up_line_count
            when roundings.is_adopted then roundings.reproduced_line_count - roundings.runner_up_line_count
        end as lead_line_count,
        case when increments.is_adopted then increments.since_date end as reproduces_from_date,
        scored.period_start_date
    from scored
    left join rating_terms
        on
            scored.agreement_id = rating_terms.agreement_id
            and scored.service = rating_terms.service
            and scored.direction = rating_terms.direction
    left join countings
        on scored.carrier_policy_id = countings.carrier_policy_id
    left join increments
        on scored.carrier_policy_id = increments.carrier_policy_id
    left join roundings
        on scored.carrier_policy_id = roundings.carrier_policy_id
    left join prices
        on scored.carrier_policy_id = prices.carrier_policy_id

),

policies_scored as (

    select
        *,
        nullif(
            substring(
                coalesce(', ' || deviating_increments_name, '')
                || coalesce(', ' || deviating_counting_name, '')
                || coalesce(', ' || deviating_rounding_name, '')
                || coalesce(', ' || deviating_price_name, ''), 3
            ), ''
        ) as deviating_policy_name
    from attributes_joined

)

select * from policies_scored
