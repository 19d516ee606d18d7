-- One row per carrier agreement, service, direction and billing period: how many of its invoiced lines the agreed increments reproduce, and which
-- other increments reproduce most of the lines that they do not. Only lines whose quantity differs are billed again, so
-- the cost follows the disputed traffic.
with

lines as (

    select * from {{ ref('int_invoice_lines_matched') }}
    where is_invoiced and line_type = 'usage' and not is_repeated and rated_event_count is not null

),

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

candidates as (

    select
        policy_name,
        increment_method,
        cast(minimum_quantity as decimal(18, 3)) as minimum_quantity,
        cast(increment_quantity as decimal(18, 3)) as increment_quantity
    from {{ ref('billing_increments') }}

),

deviating_lines as (

    select * from lines
    where invoiced_quantity != rated_quantity and quantity_unit = 'second'

),

deviating_quantities as (

    select
        deviating_lines.invoice_line_id,
        candidates.policy_name,
        cast(sum(
            {{ billed_quantity(
                'events.quantity', 'candidates.minimum_quantity', 'candidates.increment_quantity', 'candidates.increment_method'
            ) }}
        ) as decimal(18, 3)) as candidate_quantity
    from deviating_lines
    inner join {{ ref('int_events_rated') }} as events
        on
            deviating_lines.carrier_id = events.carrier_id
            and deviating_lines.service = events.service
            and deviating_lines.direction = events.direction
            and deviating_lines.destination_id = events.destination_id
            and events.carrier_local_date between deviating_lines.service_first_date and deviating_lines.service_last_date
            and events.rating_status = 'rated'
    cross join candidates
    group by deviating_lines.invoice_line_id, candidates.policy_name

),

candidates_scored as (

    select
        deviating_lines.billing_period_id,
        deviating_lines.service,
        deviating_lines.direction,
        deviating_quantities.policy_name,
        count(*) as reproduced_line_count,
        min(deviating_lines.service_first_date) as reproduces_from_date
    from deviating_quantities
    inner join deviating_lines
        on deviating_quantities.invoice_line_id = deviating_lines.invoice_line_id
    where deviating_quantities.candidate_quantity = deviating_lines.invoiced_quantity
    group by
        deviating_lines.billing_period_id, deviating_lines.service, deviating_lines.direction,
        deviating_quantities.policy_name

),

best_candidates as (

    select *
    from candidates_scored
    qualify row_number() over (
        partition by billing_period_id, service, direction order by reproduced_line_count desc, policy_name
    ) = 1

),

agreed_scored as (

    select
        lines.billing_period_id,
        lines.carrier_id,
        lines.agreement_id,
        lines.service,
        lines.direction,
        lines.period_start_date,
        count(*) as line_count,
        count_if(lines.invoiced_quantity = lines.rated_quantity) as agreed_line_count,
        count_if(lines.invoiced_quantity != lines.rated_quantity) as deviating_line_count
    from lines
    group by
        lines.billing_period_id, lines.carrier_id, lines.agreement_id, lines.service, lines.direction,
        lines.period_start_date

),

policies_scored as (

    select
        agreed_scored.billing_period_id || ':' || agreed_scored.service || ':' || agreed_scored.direction as carrier_policy_id,
        agreed_scored.billing_period_id,
        agreed_scored.carrier_id,
        agreed_scored.service,
        agreed_scored.direction,
        cast(cast(rating_terms.minimum_quantity as integer) as varchar)
        || '/' || cast(cast(rating_terms.increment_quantity as integer) as varchar) as agreed_policy_name,
        best_candidates.policy_name as deviating_policy_name,
        agreed_scored.line_count,
        agreed_scored.agreed_line_count,
        agreed_scored.deviating_line_count,
        coalesce(best_candidates.reproduced_line_count, 0) as reproduced_line_count,
        best_candidates.reproduces_from_date,
        agreed_scored.period_start_date
    from agreed_scored
    left join rating_terms
        on
            agreed_scored.agreement_id = rating_terms.agreement_id
            and agreed_scored.service = rating_terms.service
            and agreed_scored.direction = rating_terms.direction
    left join best_candidates
        on
            agreed_scored.billing_period_id = best_candidates.billing_period_id
            and agreed_scored.service = best_candidates.service
            and agreed_scored.direction = best_candidates.direction

)

select * from policies_scored
