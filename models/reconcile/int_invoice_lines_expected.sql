-- One row per line that the carrier's invoice should have for what no invoice is about yet: usage of a
-- destination at one price, a fee, and the tax on both. Each is rounded as the agreement rounds its lines:
-- these are the amounts that a right invoice has, whatever the order of its lines.
with

costs as (

    select * from {{ ref('int_costs_expected') }}
    where invoice_line_id is null and omitted_by_invoice_id is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

usage_summed as (

    select
        agreement_id,
        carrier_id,
        service,
        direction,
        destination_id,
        quantity_unit,
        rated_cost_currency,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        period_start_date,
        bool_or(is_rounded_per_event) as is_rounded_per_event,
        min(destination_name) as destination_name,
        min(carrier_local_date) as service_first_date,
        max(carrier_local_date) as service_last_date,
        sum(event_count) as event_count,
        cast(sum(billed_quantity) as decimal(18, 3)) as billed_quantity,
        cast(sum(undivided_cost_amount) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from costs
    group by
        agreement_id, carrier_id, service, direction, destination_id, quantity_unit, rated_cost_currency,
        rate_amount, rate_per_quantity, connect_fee_amount, period_start_date

),

usage_expected as (

    select
        usage_summed.agreement_id,
        usage_summed.carrier_id,
        'usage' as line_type,
        usage_summed.service,
        usage_summed.direction,
        usage_summed.destination_id,
        usage_summed.destination_name,
        cast(null as string) as fee_name,
        usage_summed.quantity_unit,
        usage_summed.event_count,
        usage_summed.billed_quantity,
        usage_summed.rate_amount,
        usage_summed.rate_per_quantity,
        usage_summed.connect_fee_amount,
        usage_summed.rated_cost_amount,
        case
            when usage_summed.is_rounded_per_event
                then {{ round_money(
                    'usage_summed.rated_cost_amount',
                    'agreements.line_rounding_decimals', 'agreements.rounding_mode'
                ) }}
            else {{ divide_and_round(
                'usage_summed.undivided_cost_amount', 'usage_summed.rate_per_quantity',
                'agreements.line_rounding_decimals', 'agreements.rounding_mode'
            ) }}
        end as expected_amount,
        usage_summed.rated_cost_currency as expected_currency,
        true as is_taxed,
        usage_summed.service_first_date,
        usage_summed.service_last_date,
        usage_summed.period_start_date
    from usage_summed
    inner join agreements
        on usage_summed.agreement_id = agreements.agreement_id

),

fees_expected as (

    select
        agreement_id,
        carrier_id,
        'fee' as line_type,
        service,
        direction,
        cast(null as string) as destination_id,
        cast(null as string) as destination_name,
        fee_name,
        cast(null as string) as quantity_unit,
        0 as event_count,
        cast(null as decimal(18, 3)) as billed_quantity,
        cast(null as decimal(18, 8)) as rate_amount,
        cast(null as integer) as rate_per_quantity,
        cast(null as decimal(18, 8)) as connect_fee_amount,
        expected_fee_amount as rated_cost_amount,
        expected_fee_amount as expected_amount,
        fee_currency as expected_currency,
        is_taxed,
        cast(null as date) as service_first_date,
        cast(null as date) as service_last_date,
        period_start_date
    from {{ ref('int_fees_expected') }}
    where not is_invoiced and omitted_by_invoice_id is null and expected_fee_amount != 0

),

lines_without_tax as (

    select * from usage_expected
    union all
    select * from fees_expected

),

taxed as (

    select
        agreement_id,
        carrier_id,
        expected_currency,
        period_start_date,
        cast(sum(case when is_taxed then expected_amount else 0 end) as {{ exact_amount() }})
            as taxable_amount
    from lines_without_tax
    group by agreement_id, carrier_id, expected_currency, period_start_date

),

taxes_expected as (

    select
        taxed.agreement_id,
        taxed.carrier_id,
        'tax' as line_type,
        cast(null as string) as service,
        cast(null as string) as direction,
        cast(null as string) as destination_id,
        cast(null as string) as destination_name,
        cast(null as string) as fee_name,
        cast(null as string) as quantity_unit,
        0 as event_count,
        cast(null as decimal(18, 3)) as billed_quantity,
        cast(null as decimal(18, 8)) as rate_amount,
        cast(null as integer) as rate_per_quantity,
        cast(null as decimal(18, 8)) as connect_fee_amount,
        cast(0 as {{ exact_amount() }}) as rated_cost_amount,
        {{ scale_money(
            'taxed.taxable_amount', 'agreements.tax_ratio', '1',
            'agreements.line_rounding_decimals', 'agreements.rounding_mode'
        ) }} as expected_amount,
        taxed.expected_currency,
        false as is_taxed,
        cast(null as date) as service_first_date,
        cast(null as date) as service_last_date,
        taxed.period_start_date
    from taxed
    inner join agreements
        on taxed.agreement_id = agreements.agreement_id
    where agreements.tax_ratio != 0

),

lines_and_taxes as (

    select * from lines_without_tax
    union all
    select * from taxes_expected

),

invoice_lines_expected as (

    select
        agreement_id || ':' || {{ month_name_of('period_start_date') }} || ':' || line_type
        || ':' || coalesce(service, '') || ':' || coalesce(direction, '')
        || ':' || coalesce(destination_id, fee_name, '') || ':' || expected_currency
        || ':' || coalesce(cast(rate_amount as string), '')
        || '/' || coalesce(cast(rate_per_quantity as string), '')
        || ':' || coalesce(cast(connect_fee_amount as string), '')
        || ':' || coalesce(quantity_unit, '') as expected_line_id,
        agreement_id || ':' || {{ month_name_of('period_start_date') }} as billing_period_id,
        *
    from lines_and_taxes

)

select * from invoice_lines_expected
