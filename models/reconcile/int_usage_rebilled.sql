-- One row per questioned line and its like events, with what is billed of each of them by the agreed
-- increments and by the carrier's. A day that the carrier left out leaves the line in the step VOLUME: it is
-- the one day whose events and quantity the line lacks.
with

lines as (

    select
        questioned.*,
        increments.policy_name,
        increments.increment_method,
        increments.minimum_quantity,
        increments.increment_quantity,
        increments.since_date
    from {{ ref('int_lines_questioned') }} as questioned
    left join {{ ref('int_increments_scored') }} as increments
        on
            questioned.carrier_policy_id = increments.carrier_policy_id
            and increments.is_adopted
            and questioned.quantity_unit = 'second'

),

usage as (

    select
        counted.*,
        counted.is_repriceable
        and lines.policy_name is not null
        and counted.usage_date >= lines.since_date as is_on_carrier_increments,
        case
            when counted.is_charged then counted.own_billed_quantity
            else {{ billed_quantity(
                'counted.quantity', 'counted.minimum_quantity', 'counted.increment_quantity', 'counted.increment_method'
            ) }}
        end as agreed_quantity,
        lines.minimum_quantity as carrier_minimum_quantity,
        lines.increment_quantity as carrier_increment_quantity,
        {{ billed_quantity(
            'counted.quantity', 'lines.minimum_quantity', 'lines.increment_quantity', 'lines.increment_method'
        ) }} as candidate_quantity
    from {{ ref('int_usage_recounted') }} as counted
    inner join lines
        on counted.invoice_line_id = lines.invoice_line_id

),

usage_billed as (

    select
        *,
        case when is_on_carrier_increments then candidate_quantity else agreed_quantity end
            as carrier_quantity,
        is_counted_in_period and end_step > 8 as is_counted_at_last
    from usage

),

line_sums as (

    select
        lines.invoice_line_id,
        lines.invoiced_event_count,
        lines.invoiced_quantity,
        sum(usage_billed.event_count) as event_count,
        cast(sum(usage_billed.agreed_quantity * usage_billed.event_count) as decimal(18, 3))
            as agreed_quantity,
        cast(sum(usage_billed.carrier_quantity * usage_billed.event_count) as decimal(18, 3))
            as carrier_quantity
    from lines
    inner join usage_billed
        on lines.invoice_line_id = usage_billed.invoice_line_id
    where usage_billed.is_counted_at_last
    group by lines.invoice_line_id, lines.invoiced_event_count, lines.invoiced_quantity

),

days_left_out as (

    select
        line_sums.invoice_line_id,
        usage_billed.usage_date,
        count(*) over (partition by line_sums.invoice_line_id) as day_count
    from line_sums
    inner join usage_billed
        on line_sums.invoice_line_id = usage_billed.invoice_line_id
    where
        usage_billed.is_counted_at_last
        and line_sums.event_count > line_sums.invoiced_event_count
        and line_sums.invoiced_event_count > 0
    group by line_sums.invoice_line_id, usage_billed.usage_date
    having
        sum(usage_billed.event_count) = max(line_sums.event_count - line_sums.invoiced_event_count)
        and sum(usage_billed.carrier_quantity * usage_billed.event_count)
        = max(line_sums.carrier_quantity - line_sums.invoiced_quantity)

),

-- A line that the agreed increments reproduce was billed by them.
usage_chosen as (

    select
        usage_billed.*,
        usage_billed.is_on_carrier_increments
        and not coalesce(line_sums.agreed_quantity = line_sums.invoiced_quantity, false) as is_on_theirs,
        case
            when usage_billed.end_step > 4 and days_left_out.usage_date is not null then 4
            else usage_billed.end_step
        end as last_step
    from usage_billed
    left join line_sums
        on usage_billed.invoice_line_id = line_sums.invoice_line_id
    left join days_left_out
        on
            usage_billed.invoice_line_id = days_left_out.invoice_line_id
            and usage_billed.usage_date = days_left_out.usage_date
            and days_left_out.day_count = 1

),

usage_rebilled as (

    {% set keys = [
        'invoice_line_id', 'carrier_policy_id', 'deck_row_id', 'is_counted_at_first', 'is_counted_on_clock',
        'is_counted_in_period', 'first_step', 'is_charged', 'is_repriceable', 'agreed_quantity',
        'increment_method', 'own_undivided_amount', 'own_rated_amount', 'own_per_quantity', 'attempt_fee_amount',
    ] %}
    select
        {% for key in keys %}
            {{ key }},
        {% endfor %}
        last_step as end_step,
        minimum_quantity as agreed_minimum_quantity,
        increment_quantity as agreed_increment_quantity,
        case when is_on_theirs then carrier_quantity else agreed_quantity end as carrier_quantity,
        case when is_on_theirs then carrier_minimum_quantity else minimum_quantity end
            as carrier_minimum_quantity,
        case when is_on_theirs then carrier_increment_quantity else increment_quantity end
            as carrier_increment_quantity,
        sum(event_count) as event_count
    from usage_chosen
    group by
        {% for key in keys %}
            {{ key }},
        {% endfor %}
        last_step,
        minimum_quantity,
        increment_quantity,
        case when is_on_theirs then carrier_quantity else agreed_quantity end,
        case when is_on_theirs then carrier_minimum_quantity else minimum_quantity end,
        case when is_on_theirs then carrier_increment_quantity else increment_quantity end

)

select * from usage_rebilled
