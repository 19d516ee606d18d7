-- One row per carrier agreement, service, direction and billing period with questioned lines: which usage the
-- carrier counted. A candidate is a clock of its days, a day of closing and the statuses that it bills; it is
-- scored by the lines whose number of events it reproduces. Sums of usage are taken at the instants at which
-- some candidate's days begin, so that many candidates cost little more than one.
{% set events = ref('int_events_questioned') %}
with

lines as (

    select * from {{ ref('int_lines_questioned') }}
    -- Behind a name that nobody knows stands no usage, whichever days are counted.
    where invoiced_event_count is not null and not coalesce(is_unmapped, false)

),

cut_offs as (

    select * from {{ ref('billing_cut_offs') }}

),

first_days as (

    select distinct first_day_shift
    from cut_offs

),

last_days as (

    select distinct last_day_shift
    from cut_offs

),

clocks as (

    select
        lines.carrier_policy_id,
        lines.time_zone,
        true as is_agreed_clock
    from lines
    group by lines.carrier_policy_id, lines.time_zone
    union all
    select
        lines.carrier_policy_id,
        clocks.time_zone,
        false as is_agreed_clock
    from lines
    inner join {{ ref('billing_clocks') }} as clocks
        on lines.time_zone != clocks.time_zone
    group by lines.carrier_policy_id, clocks.time_zone

),

-- The first and the last day of an invoice may be cut elsewhere, not the days between its lines.
boundaries as (

    select
        lines.invoice_line_id,
        lines.usage_place_id,
        clocks.time_zone,
        true as is_first,
        shifts.first_day_shift as day_shift,
        {{ to_instant(add_days('lines.service_first_date', 'shifts.first_day_shift'), 'clocks.time_zone') }}
            as boundary_at
    from lines
    inner join clocks
        on lines.carrier_policy_id = clocks.carrier_policy_id
    inner join first_days as shifts
        on
            shifts.first_day_shift = 0
            or lines.begins_its_period
    union all
    select
        lines.invoice_line_id,
        lines.usage_place_id,
        clocks.time_zone,
        false as is_first,
        shifts.last_day_shift as day_shift,
        {{ to_instant(add_days('lines.service_last_date', '1 + shifts.last_day_shift'), 'clocks.time_zone') }}
            as boundary_at
    from lines
    inner join clocks
        on lines.carrier_policy_id = clocks.carrier_policy_id
    inner join last_days as shifts
        on
            shifts.last_day_shift = 0
            or lines.ends_its_period

),

-- Clocks of the world begin their days on the half hour.
usage as (

    select
        usage_place_id,
        case when is_charged then '' else event_status end as uncharged_status,
        date_trunc('hour', started_at)
        + case when extract(minute from started_at) >= 30 then interval 30 minute else interval 0 minute end
            as slot_at,
        count(*) as event_count,
        cast(sum(
            case
                when is_charged then own_billed_quantity
                else {{ billed_quantity(
                    'quantity', 'minimum_quantity', 'increment_quantity', 'increment_method'
                ) }}
            end
        ) as decimal(18, 3)) as billed_quantity,
        cast(sum(case when is_charged then own_rated_amount else 0 end) as {{ exact_amount() }})
            as cost_amount
    from {{ events }}
    group by
        usage_place_id,
        case when is_charged then '' else event_status end,
        date_trunc('hour', started_at)
        + case when extract(minute from started_at) >= 30 then interval 30 minute else interval 0 minute end

),

status_policies as (

    select
        'as agreed' as policy_name,
        '' as event_status
    union all
    select
        policy_name,
        '' as event_status
    from {{ ref('billing_statuses') }}
    group by policy_name
    union all
    select
        policy_name,
        event_status
    from {{ ref('billing_statuses') }}

),

policies_named as (

    select policy_name
    from status_policies
    group by policy_name

),

usage_and_boundaries as (

    select
        usage.usage_place_id,
        status_policies.policy_name,
        cast(null as string) as invoice_line_id,
        cast(null as string) as time_zone,
        cast(null as boolean) as is_first,
        cast(null as integer) as day_shift,
        usage.slot_at as seen_at,
        1 as place_in_instant,
        usage.event_count,
        usage.billed_quantity,
        usage.cost_amount
    from usage
    inner join status_policies
        on usage.uncharged_status = status_policies.event_status
    union all
    select
        boundaries.usage_place_id,
        policies_named.policy_name,
        boundaries.invoice_line_id,
        boundaries.time_zone,
        boundaries.is_first,
        boundaries.day_shift,
        boundaries.boundary_at as seen_at,
        0 as place_in_instant,
        0 as event_count,
        cast(0 as decimal(18, 3)) as billed_quantity,
        cast(0 as {{ exact_amount() }}) as cost_amount
    from boundaries
    cross join policies_named

),

sums_run as (

    select
        *,
        sum(event_count) over (
            partition by usage_place_id, policy_name
            order by seen_at, place_in_instant
            rows between unbounded preceding and current row
        ) as run_event_count,
        cast(sum(billed_quantity) over (
            partition by usage_place_id, policy_name
            order by seen_at, place_in_instant
            rows between unbounded preceding and current row
        ) as decimal(18, 3)) as run_quantity,
        cast(sum(cost_amount) over (
            partition by usage_place_id, policy_name
            order by seen_at, place_in_instant
            rows between unbounded preceding and current row
        ) as {{ exact_amount() }}) as run_amount
    from usage_and_boundaries

),

sums_at_boundaries as (

    select *
    from sums_run
    where invoice_line_id is not null

),

lines_counted as (

    select
        lines.carrier_policy_id,
        lines.invoice_line_id,
        lines.scope_line_count,
        lines.invoiced_event_count,
        lines.invoiced_quantity,
        lines.invoiced_amount,
        lines.rated_event_count,
        clocks.time_zone,
        cut_offs.first_day_shift,
        cut_offs.last_day_shift,
        firsts.policy_name as status_policy_name,
        lasts.run_event_count - firsts.run_event_count as event_count,
        lasts.run_quantity - firsts.run_quantity as billed_quantity,
        -- Of interest only where the events agree, and dear: there are hundreds of candidates for a line.
        case
            when lasts.run_event_count - firsts.run_event_count = lines.invoiced_event_count
                then {{ round_money(
                    'lasts.run_amount - firsts.run_amount', 'lines.line_rounding_decimals',
                    'lines.rounding_mode'
                ) }}
        end as amount,
        case when clocks.is_agreed_clock then 0 else 1 end
        + case when cut_offs.first_day_shift = 0 and cut_offs.last_day_shift = 0 then 0 else 1 end
        + case when firsts.policy_name = 'as agreed' then 0 else 1 end as difference_count
    from lines
    inner join clocks
        on lines.carrier_policy_id = clocks.carrier_policy_id
    cross join cut_offs
    inner join sums_at_boundaries as firsts
        on
            lines.invoice_line_id = firsts.invoice_line_id
            and clocks.time_zone = firsts.time_zone
            and firsts.is_first
            and firsts.day_shift = case when lines.begins_its_period then cut_offs.first_day_shift else 0 end
    inner join sums_at_boundaries as lasts
        on
            lines.invoice_line_id = lasts.invoice_line_id
            and clocks.time_zone = lasts.time_zone
            and not lasts.is_first
            and firsts.policy_name = lasts.policy_name
            and lasts.day_shift = case when lines.ends_its_period then cut_offs.last_day_shift else 0 end

),

lines_as_agreed as (

    select
        invoice_line_id,
        event_count,
        -- Another line covers some of the same days: what stands behind this one cannot be told by its days.
        event_count = rated_event_count as is_told_by_its_days
    from lines_counted
    where difference_count = 0

),

candidates_scored as (

    select
        lines_counted.carrier_policy_id,
        lines_counted.time_zone,
        lines_counted.first_day_shift,
        lines_counted.last_day_shift,
        lines_counted.status_policy_name,
        lines_counted.difference_count,
        max(lines_counted.scope_line_count) as scope_line_count,
        sum(lines_counted.event_count) as event_count,
        sum(lines_counted.billed_quantity) as billed_quantity,
        count_if(lines_counted.event_count = lines_counted.invoiced_event_count) as reproduced_line_count,
        count_if(
            lines_counted.event_count = lines_counted.invoiced_event_count
            and lines_counted.billed_quantity = lines_counted.invoiced_quantity
        ) as exact_line_count,
        count_if(
            lines_counted.event_count = lines_counted.invoiced_event_count
            and lines_counted.amount = lines_counted.invoiced_amount
        ) as exact_amount_line_count,
        count_if(lines_as_agreed.event_count != lines_counted.invoiced_event_count) as deviating_line_count,
        count_if(
            lines_counted.event_count = lines_counted.invoiced_event_count
            and lines_as_agreed.event_count != lines_counted.invoiced_event_count
        ) as gained_line_count,
        count_if(
            lines_counted.event_count != lines_counted.invoiced_event_count
            and lines_as_agreed.event_count = lines_counted.invoiced_event_count
        ) as lost_line_count
    from lines_counted
    inner join lines_as_agreed
        on lines_counted.invoice_line_id = lines_as_agreed.invoice_line_id
    where lines_as_agreed.is_told_by_its_days
    group by
        lines_counted.carrier_policy_id, lines_counted.time_zone, lines_counted.first_day_shift,
        lines_counted.last_day_shift, lines_counted.status_policy_name, lines_counted.difference_count

),

-- Candidates that count the same usage are one; the simplest of them gives its name.
candidates_told_apart as (

    select *
    from candidates_scored
    qualify row_number() over (
        partition by
            carrier_policy_id, event_count, billed_quantity, reproduced_line_count, exact_line_count,
            exact_amount_line_count
        order by
            difference_count asc, time_zone asc, first_day_shift desc, last_day_shift desc,
            status_policy_name asc
    ) = 1

),

-- Number of events, then quantity, then amount, as agreed otherwise; of equals the simplest.
candidates_ranked as (

    select
        *,
        row_number() over (
            partition by carrier_policy_id
            order by
                reproduced_line_count desc, exact_line_count desc, exact_amount_line_count desc,
                difference_count asc, time_zone asc, first_day_shift desc, last_day_shift desc,
                status_policy_name asc
        ) as candidate_rank
    from candidates_told_apart

),

countings_scored as (

    select
        winners.carrier_policy_id,
        winners.time_zone,
        winners.first_day_shift,
        winners.last_day_shift,
        winners.status_policy_name,
        winners.difference_count,
        winners.reproduced_line_count,
        winners.gained_line_count,
        winners.deviating_line_count,
        coalesce(runners_up.reproduced_line_count, 0) as runner_up_line_count,
        case
            when runners_up.carrier_policy_id is not null
                then {{ counting_name('runners_up') }}
        end as runner_up_name,
        {{ counting_name('winners') }} as counting_name,
        winners.difference_count > 0
        and {{ is_explanation(
            'winners.gained_line_count', 'winners.lost_line_count', 'winners.deviating_line_count',
            'winners.scope_line_count'
        ) }}
        -- Where all usage is one line, some days have its number of events by chance.
        and (
            winners.scope_line_count > 1
            or winners.exact_line_count > 0
            or winners.exact_amount_line_count > 0
        ) as is_adopted
    from candidates_ranked as winners
    left join candidates_ranked as runners_up
        on
            winners.carrier_policy_id = runners_up.carrier_policy_id
            and runners_up.candidate_rank = 2
    where winners.candidate_rank = 1

)

select * from countings_scored
