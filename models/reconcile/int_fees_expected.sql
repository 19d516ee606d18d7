-- One row per carrier agreement, billing month and name of a fee: what the carrier's line of that name should
-- say, rounded once as the agreement rounds its lines, whether such a line has come, and else the invoice
-- that left it out.
with

fees as (

    select * from {{ ref('int_fees_counted') }}

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

lines as (

    select * from {{ ref('int_invoice_lines_versioned') }}

),

-- The sum is divided once; where fees for unlike quantities meet under a name, each part is divided.
fees_summed as (

    select
        fees.agreement_id,
        fees.carrier_id,
        fees.fee_key,
        fees.fee_currency,
        fees.period_start_date,
        min(fees.fee_name) as fee_name,
        case
            when count(fees.service) = count(*) and min(fees.service) = max(fees.service)
                then min(fees.service)
        end as service,
        case
            when count(fees.direction) = count(*) and min(fees.direction) = max(fees.direction)
                then min(fees.direction)
        end as direction,
        bool_or(fees.is_taxed) as is_taxed,
        bool_and(fees.is_commitment) as is_commitment,
        min(fees.fee_per_quantity) as fee_per_quantity,
        min(fees.fee_per_quantity) = max(fees.fee_per_quantity) as has_one_quantity,
        cast(sum({{ multiply_exactly('fees.due_quantity', 'fees.fee_amount') }}) as {{ exact_amount() }})
            as undivided_fee_amount,
        cast(sum(
            {{ divide_and_round(
                multiply_exactly('fees.due_quantity', 'fees.fee_amount'), 'fees.fee_per_quantity', 12, "'half_up'"
            ) }}
        ) as {{ exact_amount() }}) as divided_fee_amount
    from fees
    group by fees.agreement_id, fees.carrier_id, fees.fee_key, fees.fee_currency, fees.period_start_date

),

fees_invoiced as (

    select distinct
        carrier_id,
        period_start_date,
        agreement_currency,
        fee_key
    from lines
    where line_type = 'fee' and invoiced_amount >= 0

),

-- An invoice is about the fees of its month where it has any, or reaches the month's last day.
invoices_about_fees as (

    select
        invoice_id,
        carrier_id,
        period_start_date,
        agreement_currency,
        min(invoice_date) as invoice_date
    from lines
    where invoiced_amount >= 0
    group by invoice_id, carrier_id, period_start_date, agreement_currency
    having
        bool_or(line_type = 'fee')
        or max(service_last_date) >= {{ add_days(next_month_of('period_start_date'), -1) }}

),

first_invoices as (

    select *
    from invoices_about_fees
    qualify row_number() over (
        partition by carrier_id, period_start_date, agreement_currency order by invoice_date, invoice_id
    ) = 1

),

fees_expected as (

    select
        fees_summed.agreement_id || ':' || {{ month_name_of('fees_summed.period_start_date') }}
        || ':' || fees_summed.fee_key as expected_fee_id,
        fees_summed.agreement_id,
        fees_summed.carrier_id,
        fees_summed.fee_key,
        fees_summed.fee_name,
        fees_summed.service,
        fees_summed.direction,
        fees_summed.fee_currency,
        fees_summed.divided_fee_amount,
        case
            when fees_summed.has_one_quantity
                then {{ divide_and_round(
                    'fees_summed.undivided_fee_amount', 'fees_summed.fee_per_quantity',
                    'agreements.line_rounding_decimals', 'agreements.rounding_mode'
                ) }}
            else {{ round_money(
                'fees_summed.divided_fee_amount', 'agreements.line_rounding_decimals', 'agreements.rounding_mode'
            ) }}
        end as expected_fee_amount,
        fees_summed.is_taxed,
        fees_summed.is_commitment,
        fees_invoiced.fee_key is not null as is_invoiced,
        case when fees_invoiced.fee_key is null then first_invoices.invoice_id end as omitted_by_invoice_id,
        fees_summed.period_start_date
    from fees_summed
    inner join agreements
        on fees_summed.agreement_id = agreements.agreement_id
    left join fees_invoiced
        on
            fees_summed.carrier_id = fees_invoiced.carrier_id
            and fees_summed.period_start_date = fees_invoiced.period_start_date
            and fees_summed.fee_currency = fees_invoiced.agreement_currency
            and fees_summed.fee_key = fees_invoiced.fee_key
    left join first_invoices
        on
            fees_summed.carrier_id = first_invoices.carrier_id
            and fees_summed.period_start_date = first_invoices.period_start_date
            and fees_summed.fee_currency = first_invoices.agreement_currency

)

select * from fees_expected
