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
        coalesce(
            last_steps.least_per_quantity = last_steps.most_per_quantity, invoice_lines.has_one_rate_quantity
        ) as has_one_per_quantity,
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

lines_compared as (

    select
        *,
        invoice_currency = agreement_currency as is_in_one_currency,
        coalesce(least_rate_amount = most_rate_amount and has_one_per_quantity, false) as has_one_rate,
        case
            when invoiced_quantity = rerated_quantity then rerated_event_count
            else coalesce(invoiced_event_count, rerated_event_count)
        end as their_event_count
    from lines

),

-- Is our amount one rate times the quantity, with a connect fee for each event, and nothing rounded before
-- the line? Fees of attempts, allowances, maxima and bands make it another one.
lines_reckoned as (

    select
        *,
        case
            when is_walked and is_in_one_currency and has_one_rate and not is_rounded_per_event
                then rerated_amount = {{ amount_at_one_rate(
                    'rerated_quantity', 'least_rate_amount', 'per_quantity', 'rerated_event_count',
                    'connect_fee_amount', 'line_rounding_decimals', 'rounding_mode'
                ) }}
            else false
        end as is_quantity_times_rate
    from lines_compared

),

volume_step_taken as (

    select
        *,
        case
            when not is_walked or invoiced_amount = rerated_amount then rerated_amount
            -- A total may state no quantity, or be one of seconds and segments.
            when coalesce(invoiced_quantity = rerated_quantity, true) then rerated_amount
            when is_quantity_times_rate then {{ amount_at_one_rate(
                'invoiced_quantity', 'least_rate_amount', 'per_quantity', 'their_event_count',
                'connect_fee_amount', 'line_rounding_decimals', 'rounding_mode'
            ) }}
            when rerated_quantity = 0 then rerated_amount
            else {{ scale_money(
                'case when is_in_one_currency then rerated_cost_amount else rerated_amount end',
                'invoiced_quantity', 'rerated_quantity', 'line_rounding_decimals', 'rounding_mode',
                factor_decimals=3, amount_decimals=8
            ) }}
        end as amount_at_their_quantity
    from lines_reckoned

),

-- Their quantity at their rate and at ours. What else is in the amount (fees, an allowance) stays as it is.
{% set ours_at_their_quantity = divide_and_round(
    multiply_exactly('invoiced_quantity', 'least_rate_amount'),
    'per_quantity', 'agreement_rounding_decimals', 'rounding_mode'
) %}
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
                and is_in_one_currency
                then amount_at_their_quantity
            -- Of several rates none is the one that theirs stands against.
            when not has_one_rate then amount_at_their_quantity
            when is_quantity_times_rate then {{ amount_at_one_rate(
                'invoiced_quantity', 'invoiced_rate_amount', 'invoiced_rate_per_quantity', 'their_event_count',
                'connect_fee_amount', 'line_rounding_decimals', 'rounding_mode'
            ) }}
            else
                amount_at_their_quantity
                + {{ divide_and_round(
                    multiply_exactly('invoiced_quantity', 'invoiced_rate_amount'),
                    'invoiced_rate_per_quantity', 'line_rounding_decimals', 'rounding_mode'
                ) }}
                - case
                    when is_in_one_currency then {{ ours_at_their_quantity }}
                    else {{ convert_money(
                        ours_at_their_quantity, 'agreement_units_per_base', 'invoice_units_per_base',
                        'line_rounding_decimals'
                    ) }}
                end
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
