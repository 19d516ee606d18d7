-- One row per invoice line and cause: the walk from what our records say to what was invoiced. Each step
-- moves one thing to the carrier's value and is rounded as the line is; a component is the difference of two
-- successive amounts, so the components of a line add up to its variance. First come the steps that rate the
-- usage again (int_lines_rerated); on what they leave, the quantity and then the rate that the line states.
-- What no step explains is RESIDUAL, shown and never spread.
with

rerated as (

    select * from {{ ref('int_lines_rerated') }}

),

lines_joined as (

    select
        invoice_lines.*,
        coalesce(last_steps.amount, invoice_lines.rated_amount) as rerated_amount,
        coalesce(last_steps.rounded_amount, invoice_lines.rated_cost_amount) as rerated_cost_amount,
        coalesce(last_steps.event_count, invoice_lines.rated_event_count, 0) as rerated_event_count,
        coalesce(last_steps.billed_quantity, invoice_lines.rated_quantity) as rerated_quantity,
        coalesce(last_steps.least_rate_amount, invoice_lines.rated_rate_amount) as least_rate_amount,
        coalesce(last_steps.most_rate_amount, invoice_lines.rated_rate_amount) as most_rate_amount,
        coalesce(last_steps.least_per_quantity, invoice_lines.rated_rate_per_quantity) as per_quantity,
        coalesce(line_fees.is_commitment, false) as is_commitment
    from {{ ref('int_invoice_lines_matched') }} as invoice_lines
    left join rerated as last_steps
        on
            invoice_lines.invoice_line_id = last_steps.invoice_line_id
            and last_steps.step_number = 8
    left join {{ ref('int_fee_lines_matched') }} as line_fees
        on invoice_lines.invoice_line_id = line_fees.invoice_line_id

),

lines as (

    select
        *,
        line_type = 'usage' and not is_repeated and rerated_event_count = 0 as is_without_usage,
        -- Only a line with usage on both sides, in units and currencies that compare, is walked; one that is
        -- right is not.
        line_type = 'usage'
        and is_invoiced
        and not is_repeated
        and rerated_event_count > 0
        and is_convertible
        and coalesce(quantity_unit = rated_quantity_unit, true)
        and invoiced_amount != rated_amount as is_walked
    from lines_joined

),

volume_step_taken as (

    select
        *,
        case
            when not is_walked or invoiced_amount = rerated_amount then rerated_amount
            -- A total may state no quantity, or be one of seconds and segments.
            when coalesce(invoiced_quantity = rerated_quantity or rerated_quantity = 0, true)
                then rerated_amount
            when invoice_currency != agreement_currency then {{ scale_money(
                'rerated_amount', 'invoiced_quantity', 'rerated_quantity', 'line_rounding_decimals', 'rounding_mode', 3
            ) }}
            -- One rate and nothing rounded before the line: their quantity at our rate is exact.
            when least_rate_amount = most_rate_amount and connect_fee_amount = 0 and not is_rounded_per_event
                then {{ divide_and_round(
                    multiply_exactly('invoiced_quantity', 'least_rate_amount'),
                    'per_quantity', 'line_rounding_decimals', 'rounding_mode'
                ) }}
            else {{ scale_money(
                'rerated_cost_amount', 'invoiced_quantity', 'rerated_quantity', 'line_rounding_decimals', 'rounding_mode', 3
            ) }}
        end as amount_at_their_quantity
    from lines

),

rate_step_taken as (

    select
        *,
        case
            -- Already explained: no further cause is sought.
            when amount_at_their_quantity = invoiced_amount then amount_at_their_quantity
            when not is_walked then amount_at_their_quantity
            when invoiced_quantity is null or invoiced_rate_amount is null then amount_at_their_quantity
            -- It states a rate that is one of ours.
            when
                invoiced_rate_amount between least_rate_amount and most_rate_amount
                and per_quantity = invoiced_rate_per_quantity
                and invoice_currency = agreement_currency
                then amount_at_their_quantity
            else {{ divide_and_round(
                multiply_exactly('invoiced_quantity', 'invoiced_rate_amount')
                ~ ' + ' ~ multiply_exactly('coalesce(invoiced_event_count, 0) * invoiced_rate_per_quantity', 'connect_fee_amount'),
                'invoiced_rate_per_quantity', 'line_rounding_decimals', 'rounding_mode'
            ) }}
        end as amount_at_their_rate
    from volume_step_taken

),

components as (

    select
        invoice_line_id,
        'DUPLICATE' as cause,
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where is_repeated
    union all
    select
        invoice_line_id,
        'MISSING_OURS' as cause,
        invoiced_amount - rerated_amount as component_variance_amount
    from rate_step_taken
    where is_without_usage and is_invoiced
    union all
    select
        invoice_line_id,
        'MISSING_THEIRS' as cause,
        invoiced_amount - rerated_amount as component_variance_amount
    from rate_step_taken
    where not is_invoiced
    union all
    select
        invoice_line_id,
        -- A fee that no agreement knows needs no exchange rate to be one.
        case
            when not is_convertible and expected_fee_amount is not null then 'FX'
            when is_commitment then 'COMMITMENT'
            else 'FEE'
        end as cause,
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where line_type = 'fee' and is_invoiced
    union all
    select
        invoice_line_id,
        case when line_type = 'tax' then 'TAX' else 'ROUNDING' end as cause,
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where line_type in ('tax', 'rounding') and is_invoiced
    union all
    select
        invoice_line_id,
        'VOLUME' as cause,
        amount_at_their_quantity - rerated_amount as component_variance_amount
    from rate_step_taken
    union all
    select
        invoice_line_id,
        'RATE' as cause,
        amount_at_their_rate - amount_at_their_quantity as component_variance_amount
    from rate_step_taken
    union all
    select
        invoice_line_id,
        case when is_convertible then 'RESIDUAL' else 'FX' end as cause,
        invoiced_amount - amount_at_their_rate as component_variance_amount
    from rate_step_taken
    where line_type = 'usage' and is_invoiced and not is_repeated and not is_without_usage
    union all
    select
        invoice_line_id,
        cause,
        step_variance_amount as component_variance_amount
    from rerated
    where step_number > 0

),

-- What re-rating and the stated figures give to one cause is one component.
components_summed as (

    select
        invoice_line_id,
        cause,
        sum(component_variance_amount) as component_variance_amount
    from components
    group by invoice_line_id, cause

),

variances_bridged as (

    select
        components_summed.invoice_line_id || ':' || components_summed.cause as variance_component_id,
        components_summed.invoice_line_id,
        lines.invoice_id,
        lines.billing_period_id,
        lines.carrier_id,
        lines.agreement_id,
        lines.invoice_number,
        components_summed.cause,
        lines.invoice_currency,
        cast(components_summed.component_variance_amount as {{ exact_amount() }})
            as component_variance_amount,
        lines.invoice_date,
        lines.period_start_date
    from components_summed
    inner join lines
        on components_summed.invoice_line_id = lines.invoice_line_id
    where components_summed.component_variance_amount != 0

)

select * from variances_bridged
