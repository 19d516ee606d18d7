-- One row per carrier agreement, service, direction and billing period: how many of its invoiced lines the
-- agreed increments reproduce, and which other increments, since which day, reproduce most of the lines that
-- they do not. Only lines whose quantity differs are billed again, so the cost follows the disputed traffic;
-- and where the carrier counts events as we do, only those with as many events as ours: increments change
-- quantities, not counts.
with

lines as (

    select
        *,
        coalesce(
            bool_or(invoiced_event_count = rated_event_count) over (
                partition by billing_period_id, service, direction
            ), false
        ) as are_counts_comparable
    from {{ ref('int_invoice_lines_matched') }}
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
    where
        invoiced_quantity != rated_quantity
        and quantity_unit = 'second'
        and (not are_counts_comparable or coalesce(invoiced_event_count = rated_event_count, true))

),

-- What each candidate would add to a line's quantity, day by day.
daily_differences as (

    select
        deviating_lines.invoice_line_id,
        candidates.policy_name,
        events.carrier_local_date,
        sum(
            {{ billed_quantity(
                'events.quantity', 'candidates.minimum_quantity', 'candidates.increment_quantity',
                'candidates.increment_method'
            ) }} - events.billed_quantity
        ) as added_quantity
    from deviating_lines
    inner join {{ ref('int_events_rated') }} as events
        on
            deviating_lines.carrier_id = events.carrier_id
            and deviating_lines.service = events.service
            and deviating_lines.direction = events.direction
            and deviating_lines.destination_id = events.destination_id
            and events.carrier_local_date
            between deviating_lines.service_first_date and deviating_lines.service_last_date
            -- An attempt for which only a fee is due has no increments under any policy.
            and events.billed_quantity > 0
    cross join candidates
    group by deviating_lines.invoice_line_id, candidates.policy_name, events.carrier_local_date

),

days_of_change as (

    select distinct
        deviating_lines.billing_period_id,
        deviating_lines.service,
        deviating_lines.direction,
        daily_differences.carrier_local_date as since_date
    from daily_differences
    inner join deviating_lines
        on daily_differences.invoice_line_id = deviating_lines.invoice_line_id

),

-- A carrier changes its increments on one day, for all lines: agreed before it, the candidate's from it on.
line_deviations as (

    select
        deviating_lines.billing_period_id,
        deviating_lines.service,
        deviating_lines.direction,
        daily_differences.invoice_line_id,
        daily_differences.policy_name,
        days_of_change.since_date,
        max(deviating_lines.invoiced_quantity - deviating_lines.rated_quantity) as deviation_quantity,
        sum(
            case
                when daily_differences.carrier_local_date >= days_of_change.since_date
                    then daily_differences.added_quantity
                else 0
            end
        ) as added_quantity
    from daily_differences
    inner join deviating_lines
        on daily_differences.invoice_line_id = deviating_lines.invoice_line_id
    inner join days_of_change
        on
            deviating_lines.billing_period_id = days_of_change.billing_period_id
            and deviating_lines.service = days_of_change.service
            and deviating_lines.direction = days_of_change.direction
    group by
        deviating_lines.billing_period_id, deviating_lines.service, deviating_lines.direction,
        daily_differences.invoice_line_id, daily_differences.policy_name, days_of_change.since_date

),

candidates_scored as (

    select
        billing_period_id,
        service,
        direction,
        policy_name,
        since_date,
        count(*) as reproduced_line_count
    from line_deviations
    where added_quantity = deviation_quantity
    group by billing_period_id, service, direction, policy_name, since_date

),

-- Of equally good explanations the one that held longer wins.
best_candidates as (

    select *
    from candidates_scored
    qualify row_number() over (
        partition by billing_period_id, service, direction
        order by reproduced_line_count desc, since_date asc, policy_name asc
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
        agreed_scored.billing_period_id || ':' || agreed_scored.service || ':' || agreed_scored.direction
            as carrier_policy_id,
        agreed_scored.billing_period_id,
        agreed_scored.carrier_id,
        agreed_scored.service,
        agreed_scored.direction,
        cast(cast(rating_terms.minimum_quantity as integer) as string)
        || '/' || cast(cast(rating_terms.increment_quantity as integer) as string) as agreed_policy_name,
        best_candidates.policy_name as deviating_policy_name,
        agreed_scored.line_count,
        agreed_scored.agreed_line_count,
        agreed_scored.deviating_line_count,
        coalesce(best_candidates.reproduced_line_count, 0) as reproduced_line_count,
        best_candidates.since_date as reproduces_from_date,
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
