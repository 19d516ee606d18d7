-- Adds up what is disputed, from the tables of this folder and nothing else. With DuckDB (https://duckdb.org), here:
--   duckdb < recompute.sql
--   python -c "import duckdb; print(duckdb.sql(open('recompute.sql').read()))"
-- The last column says whether every line behind a dispute leads from its rated amount to its invoiced one, and whether
-- the disputed parts add up to the amount that the dispute states.

with
lines as (from 'parquet/lines.parquet'),
steps as (from 'parquet/steps.parquet'),
usage as (from 'parquet/usage.parquet'),
bridge as (from 'parquet/bridge.parquet'),
disputes as (from 'parquet/disputes.parquet'),

-- What the usage behind a line comes to at each step of the bridge: the sum is divided once, unless the agreement rounds
-- each event.
sums as (
    select
        invoice_line_id, step_number,
        cast(sum(event_count * undivided_amount) as decimal(38, 12)) as undivided_amount,
        cast(sum(
            event_count * coalesce(
                kept_cost_amount,
                scaled(
                    undivided_amount, 1, rate_per_quantity, coalesce(event_rounding_decimals, 12), event_rounding_mode
                )
            )
        ) as decimal(38, 12)) as rounded_amount,
        min(rate_per_quantity) as least_per_quantity,
        max(rate_per_quantity) as most_per_quantity,
        bool_or(event_rounding_decimals is not null) as is_rounded_per_event
    from usage
    group by invoice_line_id, step_number
),
amounts as (
    select
        steps.invoice_line_id, steps.step_number, steps.cause, steps.rerated_amount as stated_amount,
        case
            when sums.invoice_line_id is null then 0
            when is_rounded_per_event or least_per_quantity != most_per_quantity
                then scaled(rounded_amount, 1, 1, agreement_rounding_decimals, rounding_mode)
            else scaled(undivided_amount, 1, least_per_quantity, agreement_rounding_decimals, rounding_mode)
        end as agreement_amount,
        lines.invoice_currency = lines.agreement_currency as is_in_one_currency,
        lines.agreement_units_per_base, lines.invoice_units_per_base, lines.line_rounding_decimals
    from steps
    join lines using (invoice_line_id)
    left join sums using (invoice_line_id, step_number)
),
amounts_converted as (
    select
        invoice_line_id, step_number, cause, stated_amount,
        case
            when is_in_one_currency then agreement_amount
            else scaled(
                agreement_amount,
                cast(invoice_units_per_base * 100000000 as hugeint),
                cast(agreement_units_per_base * 100000000 as hugeint),
                line_rounding_decimals, 'half_up'
            )
        end as amount
    from amounts
),
differences as (
    select
        invoice_line_id, cause,
        amount - lag(amount, 1, amount) over (partition by invoice_line_id order by step_number) as rerated_variance_amount
    from amounts_converted
),
lines_rerated as (
    select
        invoice_line_id,
        bool_and(amounts_converted.amount = amounts_converted.stated_amount) as is_reproduced,
        max(case when step_number = 0 then amounts_converted.amount end) as first_amount
    from amounts_converted
    group by invoice_line_id
),

-- A component: what re-rating gives to its cause, and what follows from the figures that the line itself states.
components as (
    select
        bridge.invoice_line_id, bridge.cause, bridge.dispute_id,
        coalesce(sum(differences.rerated_variance_amount), 0) + any_value(bridge.stated_variance_amount)
            as component_variance_amount
    from bridge
    left join differences using (invoice_line_id, cause)
    group by bridge.invoice_line_id, bridge.cause, bridge.dispute_id
),
walks as (
    select
        lines.invoice_line_id,
        lines.rated_amount + sum(components.component_variance_amount) = lines.invoiced_amount
        and coalesce(any_value(lines_rerated.is_reproduced), true)
        and coalesce(any_value(lines_rerated.first_amount) = lines.rated_amount, true) as adds_up
    from lines
    join components using (invoice_line_id)
    left join lines_rerated using (invoice_line_id)
    group by lines.invoice_line_id, lines.rated_amount, lines.invoiced_amount
)

select
    disputes.dispute_id as id,
    disputes.dispute_amount as stated_amount,
    cast(sum(components.component_variance_amount) as decimal(18, 6)) as recomputed_amount,
    disputes.dispute_currency as currency,
    count(*) as line_count,
    disputes.dispute_amount = sum(components.component_variance_amount)
    and disputes.line_count = count(*) and bool_and(walks.adds_up) as agrees
from disputes
join components using (dispute_id)
join walks using (invoice_line_id)
group by disputes.dispute_id, disputes.dispute_amount, disputes.dispute_currency, disputes.line_count
order by disputes.dispute_id;
