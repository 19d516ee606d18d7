-- One row per questioned line and step of the bridge: its events, quantity and amount when the usage behind
-- it is rated with everything up to that step as the carrier does it, and the rest as agreed. Step 0 is the
-- agreement; each further step moves one attribute of the policy. The amounts are rounded as the line is.
{% set usage = ref('int_usage_rebilled') %}
with

roundings as (

    select * from {{ ref('int_roundings_scored') }}
    where is_adopted

),

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

steps as (

    select * from {{ ref('bridge_steps') }}

),

line_steps as (

    select
        questioned.*,
        steps.step_number,
        steps.cause,
        case
            when steps.step_number >= 6 and roundings.carrier_policy_id is not null
                then roundings.event_rounding_decimals
            else rating_terms.event_rounding_decimals
        end as event_rounding_decimals,
        case
            when steps.step_number >= 6 and roundings.carrier_policy_id is not null
                then roundings.event_rounding_mode
            else rating_terms.rounding_mode
        end as event_rounding_mode,
        case
            when steps.step_number >= 6 and roundings.carrier_policy_id is not null
                then roundings.increment_rounding_decimals
            else rating_terms.increment_rounding_decimals
        end as increment_rounding_decimals,
        case
            when steps.step_number >= 6 and roundings.carrier_policy_id is not null
                then roundings.increment_rounding_mode
            else rating_terms.increment_rounding_mode
        end as increment_rounding_mode
    from {{ ref('int_lines_questioned') }} as questioned
    inner join rating_terms
        on
            questioned.agreement_id = rating_terms.agreement_id
            and questioned.service = rating_terms.service
            and questioned.direction = rating_terms.direction
    left join roundings
        on questioned.carrier_policy_id = roundings.carrier_policy_id
    cross join steps

),

prices as (

    select * from {{ ref('int_prices_matched') }}

),

rate_decks as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

usage_at_steps as (

    select
        used.invoice_line_id,
        line_steps.step_number,
        used.event_count,
        used.own_undivided_amount,
        used.own_rated_amount,
        used.own_per_quantity,
        used.attempt_fee_amount,
        used.is_repriceable,
        line_steps.event_rounding_decimals,
        line_steps.event_rounding_mode,
        line_steps.increment_rounding_decimals,
        line_steps.increment_rounding_mode,
        case when line_steps.step_number >= 5 then used.carrier_quantity else used.agreed_quantity end
            as billed_quantity,
        case
            when line_steps.step_number >= 5 then used.carrier_minimum_quantity
            else used.agreed_minimum_quantity
        end as minimum_quantity,
        case
            when line_steps.step_number >= 5 then used.carrier_increment_quantity
            else used.agreed_increment_quantity
        end as increment_quantity,
        coalesce(
            prices.stated_rate_amount,
            cast(price_rows.rate_amount * coalesce(prices.rate_factor, 1) as decimal(38, 8))
        ) as rate_amount,
        coalesce(
            prices.stated_rate_per_quantity, price_rows.rate_per_quantity * coalesce(prices.per_factor, 1)
        ) as rate_per_quantity,
        price_rows.connect_fee_amount,
        price_rows.maximum_amount
    from {{ usage }} as used
    inner join line_steps
        on
            used.invoice_line_id = line_steps.invoice_line_id
            and used.first_step <= line_steps.step_number
            and used.end_step > line_steps.step_number
            and case line_steps.step_number
                when 0 then used.is_counted_at_first
                when 1 then used.is_counted_on_clock
                else used.is_counted_in_period
            end
    left join prices
        on
            used.invoice_line_id = prices.invoice_line_id
            and used.deck_row_id = prices.deck_row_id
            and line_steps.step_number >= prices.step_number
    inner join rate_decks as price_rows
        on coalesce(prices.price_row_id, used.deck_row_id) = price_rows.deck_row_id

),

usage_priced as (

    select
        usage_at_steps.invoice_line_id,
        usage_at_steps.step_number,
        usage_at_steps.event_count,
        usage_at_steps.billed_quantity,
        usage_at_steps.own_rated_amount,
        usage_at_steps.is_repriceable,
        usage_at_steps.event_rounding_decimals,
        usage_at_steps.event_rounding_mode,
        usage_at_steps.rate_amount,
        case
            when usage_at_steps.is_repriceable then usage_at_steps.rate_per_quantity
            else usage_at_steps.own_per_quantity
        end as per_quantity,
        {{ undivided_at(
            'usage_at_steps', 'usage_at_steps', 'usage_at_steps.billed_quantity',
            'usage_at_steps.increment_rounding_decimals', 'usage_at_steps.increment_rounding_mode'
        ) }} as undivided_amount
    from usage_at_steps

),

sums as (

    {{ line_sums('usage_priced', ['invoice_line_id', 'step_number', 'event_rounding_decimals']) }}

),

counts as (

    select
        invoice_line_id,
        step_number,
        sum(event_count) as event_count,
        cast(sum(event_count * billed_quantity) as decimal(18, 3)) as billed_quantity,
        min(rate_amount) as least_rate_amount,
        max(rate_amount) as most_rate_amount
    from usage_priced
    group by invoice_line_id, step_number

),

lines_stepped as (

    select
        line_steps.invoice_line_id,
        line_steps.step_number,
        line_steps.cause,
        line_steps.rated_amount,
        line_steps.rated_event_count,
        line_steps.rated_quantity,
        line_steps.is_invoiced,
        coalesce(counts.event_count, 0) as event_count,
        case when line_steps.rated_quantity is not null then coalesce(counts.billed_quantity, 0) end
            as billed_quantity,
        counts.least_rate_amount,
        counts.most_rate_amount,
        sums.least_per_quantity,
        sums.most_per_quantity,
        coalesce(sums.rounded_amount, 0) as rounded_amount,
        case
            when counts.event_count is null then cast(0 as {{ exact_amount() }})
            else {{ line_amount(
                'line_steps', 'sums.undivided_amount', 'sums.rounded_amount', 'sums.least_per_quantity',
                'sums.most_per_quantity', 'line_steps.event_rounding_decimals is not null'
            ) }}
        end as amount
    from line_steps
    left join counts
        on
            line_steps.invoice_line_id = counts.invoice_line_id
            and line_steps.step_number = counts.step_number
    left join sums
        on
            line_steps.invoice_line_id = sums.invoice_line_id
            and line_steps.step_number = sums.step_number

),

-- A line whose usage does not lead to our own amount, from as many events and as much of them (an agreement
-- that changed inside it, other lines that share its days), is not explained by rating it otherwise. Usage
-- that costs nothing leads to the amount of a line that has none.
lines_led_back as (

    select invoice_line_id
    from lines_stepped
    group by invoice_line_id
    having
        bool_or(
            step_number = 0
            and amount = rated_amount
            and event_count = rated_event_count
            and coalesce(billed_quantity = rated_quantity, true)
        )
        -- One that the carrier left out is explained where its usage is counted elsewhere, and only there.
        and bool_or(step_number = 8 and (is_invoiced or event_count = 0))

),

lines_rerated as (

    select
        lines_stepped.invoice_line_id || ':' || cast(lines_stepped.step_number as string) as line_step_id,
        lines_stepped.invoice_line_id,
        lines_stepped.step_number,
        lines_stepped.cause,
        lines_stepped.event_count,
        lines_stepped.billed_quantity,
        lines_stepped.least_rate_amount,
        lines_stepped.most_rate_amount,
        lines_stepped.least_per_quantity,
        lines_stepped.most_per_quantity,
        cast(lines_stepped.rounded_amount as {{ exact_amount() }}) as rounded_amount,
        cast(lines_stepped.amount as {{ exact_amount() }}) as amount,
        cast(
            lines_stepped.amount - coalesce(lag(lines_stepped.amount) over (
                partition by lines_stepped.invoice_line_id order by lines_stepped.step_number
            ), lines_stepped.amount) as {{ exact_amount() }}
        ) as step_variance_amount
    from lines_stepped
    inner join lines_led_back
        on lines_stepped.invoice_line_id = lines_led_back.invoice_line_id

)

select * from lines_rerated
