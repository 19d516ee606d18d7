-- One row per carrier agreement, service, direction and billing period with questioned lines of seconds:
-- which other increments, since which day, reproduce the quantity of most lines, with the usage that the
-- carrier counted. A carrier changes its increments on one day, for all lines: agreed before it, the
-- candidate's from it on.
with

lines as (

    select * from {{ ref('int_lines_questioned') }}
    where quantity_unit = 'second' and invoiced_quantity is not null

),

-- What stands behind a line when all other steps are taken.
usage as (

    select
        *,
        case
            when is_charged then own_billed_quantity
            else {{ billed_quantity(
                'quantity', 'minimum_quantity', 'increment_quantity', 'increment_method'
            ) }}
        end as agreed_quantity
    from {{ ref('int_usage_recounted') }}
    where is_counted_in_period and end_step > 8

),

lines_agreed as (

    select
        lines.invoice_line_id,
        lines.carrier_policy_id,
        max(lines.scope_line_count) as scope_line_count,
        max(lines.invoiced_quantity) as invoiced_quantity,
        cast(sum(usage.agreed_quantity * usage.event_count) as decimal(18, 3)) as agreed_quantity
    from lines
    inner join usage
        on lines.invoice_line_id = usage.invoice_line_id
    group by lines.invoice_line_id, lines.carrier_policy_id
    having sum(usage.event_count) = coalesce(max(lines.invoiced_event_count), sum(usage.event_count))

),

candidates as (

    select
        policy_name,
        increment_method,
        cast(minimum_quantity as decimal(18, 3)) as minimum_quantity,
        cast(increment_quantity as decimal(18, 3)) as increment_quantity
    from {{ ref('billing_increments') }}

),

days as (

    select
        lines_agreed.carrier_policy_id,
        lines_agreed.invoice_line_id,
        candidates.policy_name,
        usage.usage_date,
        sum(
            usage.event_count * (
                case
                    when usage.is_repriceable
                        then {{ billed_quantity(
                            'usage.quantity', 'candidates.minimum_quantity', 'candidates.increment_quantity',
                            'candidates.increment_method'
                        ) }}
                    else usage.agreed_quantity
                end - usage.agreed_quantity
            )
        ) as added_quantity
    from lines_agreed
    inner join usage
        on lines_agreed.invoice_line_id = usage.invoice_line_id
    cross join candidates
    group by
        lines_agreed.carrier_policy_id, lines_agreed.invoice_line_id, candidates.policy_name, usage.usage_date

),

-- What is added from a day on, and after which day of usage that holds too.
days_summed as (

    select
        *,
        sum(added_quantity) over (
            partition by invoice_line_id, policy_name
            order by usage_date desc
            rows between unbounded preceding and current row
        ) as added_from_quantity,
        lag(usage_date, 1, date '0001-01-01') over (
            partition by invoice_line_id, policy_name order by usage_date
        ) as previous_date
    from days
    union all
    select
        carrier_policy_id,
        invoice_line_id,
        policy_name,
        date '9999-12-31' as usage_date,
        0 as added_quantity,
        0 as added_from_quantity,
        max(usage_date) as previous_date
    from days
    group by carrier_policy_id, invoice_line_id, policy_name

),

days_of_change as (

    select
        carrier_policy_id,
        usage_date as since_date
    from days
    group by carrier_policy_id, usage_date

),

candidates_scored as (

    select
        days_summed.carrier_policy_id,
        days_summed.policy_name,
        days_of_change.since_date,
        count_if(
            lines_agreed.agreed_quantity + days_summed.added_from_quantity = lines_agreed.invoiced_quantity
        ) as reproduced_line_count,
        count_if(
            lines_agreed.agreed_quantity + days_summed.added_from_quantity = lines_agreed.invoiced_quantity
            and lines_agreed.agreed_quantity != lines_agreed.invoiced_quantity
        ) as gained_line_count,
        count_if(
            lines_agreed.agreed_quantity + days_summed.added_from_quantity != lines_agreed.invoiced_quantity
            and lines_agreed.agreed_quantity = lines_agreed.invoiced_quantity
        ) as lost_line_count,
        sum(days_summed.added_from_quantity) as added_quantity
    from days_summed
    inner join lines_agreed
        on days_summed.invoice_line_id = lines_agreed.invoice_line_id
    inner join days_of_change
        on
            days_summed.carrier_policy_id = days_of_change.carrier_policy_id
            and days_summed.previous_date < days_of_change.since_date
            and days_summed.usage_date >= days_of_change.since_date
    group by days_summed.carrier_policy_id, days_summed.policy_name, days_of_change.since_date

),

-- Candidates that add the same are one.
candidates_told_apart as (

    select *
    from candidates_scored
    qualify row_number() over (
        partition by carrier_policy_id, added_quantity, reproduced_line_count
        order by since_date asc, policy_name asc
    ) = 1

),

-- Of equally good explanations the one that held longer wins.
candidates_ranked as (

    select
        *,
        row_number() over (
            partition by carrier_policy_id
            order by reproduced_line_count desc, since_date asc, policy_name asc
        ) as candidate_rank
    from candidates_told_apart

),

scopes as (

    select
        carrier_policy_id,
        max(scope_line_count) as scope_line_count,
        count_if(agreed_quantity != invoiced_quantity) as deviating_line_count
    from lines_agreed
    group by carrier_policy_id

),

increments_scored as (

    select
        scopes.carrier_policy_id,
        winners.policy_name,
        candidates.increment_method,
        candidates.minimum_quantity,
        candidates.increment_quantity,
        winners.since_date,
        scopes.deviating_line_count,
        winners.reproduced_line_count,
        winners.gained_line_count,
        coalesce(runners_up.reproduced_line_count, 0) as runner_up_line_count,
        runners_up.policy_name || ' since ' || cast(runners_up.since_date as string) as runner_up_name,
        {{ is_explanation(
            'winners.gained_line_count', 'winners.lost_line_count', 'scopes.deviating_line_count',
            'scopes.scope_line_count'
        ) }} as is_adopted
    from scopes
    inner join candidates_ranked as winners
        on
            scopes.carrier_policy_id = winners.carrier_policy_id
            and winners.candidate_rank = 1
    inner join candidates
        on winners.policy_name = candidates.policy_name
    left join candidates_ranked as runners_up
        on
            scopes.carrier_policy_id = runners_up.carrier_policy_id
            and runners_up.candidate_rank = 2

)

select * from increments_scored
