-- One row per invoice line and cause: the walk from what our records say to what was invoiced. Each step
-- moves one thing (quantity, then rate) to the carrier's value and is rounded as the line is; a component is
-- the difference of two successive amounts, so the components of a line add up to its variance. What no step
-- explains is RESIDUAL, shown and never spread.
with

lines as (

    select
        *,
        -- Only a line with usage on both sides, in units and currencies that compare, is walked; one that is
        -- right is not.
        line_type = 'usage'
        and is_invoiced
        and not is_repeated
        and rated_event_count is not null
        and is_convertible
        and coalesce(quantity_unit = rated_quantity_unit, true)
        and invoiced_amount != rated_amount as is_walked
    from {{ ref('int_invoice_lines_matched') }}

),

volume_step_taken as (

    select
        *,
        case
            when not is_walked or invoiced_quantity = rated_quantity or rated_quantity = 0 then rated_amount
            when invoice_currency != agreement_currency then {{ scale_money(
                'rated_amount', 'invoiced_quantity', 'rated_quantity', 'line_rounding_decimals', 'rounding_mode', 3
            ) }}
            -- One rate and nothing rounded before the line: their quantity at our rate is exact.
            when rated_rate_amount is not null and connect_fee_amount = 0 and not is_rounded_per_event
                then {{ divide_and_round(
                    multiply_exactly('invoiced_quantity', 'rated_rate_amount'),
                    'rated_rate_per_quantity', 'line_rounding_decimals', 'rounding_mode'
                ) }}
            else {{ scale_money(
                'rated_cost_amount', 'invoiced_quantity', 'rated_quantity', 'line_rounding_decimals', 'rounding_mode', 3
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
            when
                rated_rate_amount = invoiced_rate_amount
                and rated_rate_per_quantity = invoiced_rate_per_quantity
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
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where line_type = 'usage' and is_invoiced and not is_repeated and rated_event_count is null
    union all
    select
        invoice_line_id,
        'MISSING_THEIRS' as cause,
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where not is_invoiced
    union all
    select
        invoice_line_id,
        -- A fee that no agreement knows needs no exchange rate to be one.
        case when is_convertible or expected_fee_amount is null then 'FEE' else 'FX' end as cause,
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where line_type = 'fee' and is_invoiced
    union all
    select
        invoice_line_id,
        'TAX' as cause,
        invoiced_amount - rated_amount as component_variance_amount
    from rate_step_taken
    where line_type = 'tax' and is_invoiced
    union all
    select
        invoice_line_id,
        'VOLUME' as cause,
        amount_at_their_quantity - rated_amount as component_variance_amount
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
    where line_type = 'usage' and is_invoiced and not is_repeated and rated_event_count is not null

),

variances_bridged as (

    select
        components.invoice_line_id || ':' || components.cause as variance_component_id,
        components.invoice_line_id,
        lines.invoice_id,
        lines.billing_period_id,
        lines.carrier_id,
        lines.agreement_id,
        lines.invoice_number,
        components.cause,
        lines.invoice_currency,
        cast(components.component_variance_amount as {{ exact_amount() }}) as component_variance_amount,
        lines.invoice_date,
        lines.period_start_date
    from components
    inner join lines
        on components.invoice_line_id = lines.invoice_line_id
    where components.component_variance_amount != 0

)

select * from variances_bridged
