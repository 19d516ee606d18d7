-- One row per fee line of an invoice whose name is that of an expected fee of its carrier and month, with
-- what we expect of it, in the agreement's currency. Lines of one name, such as one for each number, use up
-- what is expected in their order; what is left of it stands against the last one.
with

fees as (

    select
        carrier_id,
        fee_key,
        fee_currency,
        period_start_date,
        sum(expected_fee_amount) as expected_fee_amount,
        bool_and(is_commitment) as is_commitment
    from {{ ref('int_fees_expected') }}
    group by carrier_id, fee_key, fee_currency, period_start_date

),

-- A credit line takes money back; no fee is expected behind it.
lines as (

    select * from {{ ref('int_invoice_lines_versioned') }}
    where line_type = 'fee' and invoiced_amount >= 0

),

lines_joined as (

    select
        lines.*,
        fees.expected_fee_amount,
        fees.is_commitment,
        first_value(lines.invoice_currency) over (
            partition by lines.carrier_id, lines.fee_key, lines.agreement_currency, lines.period_start_date
            order by lines.invoice_date, lines.invoice_number, lines.line_number
        ) as first_currency
    from lines
    inner join fees
        on
            lines.carrier_id = fees.carrier_id
            and lines.fee_key = fees.fee_key
            and lines.agreement_currency = fees.fee_currency
            and lines.period_start_date = fees.period_start_date

),

-- Amounts in two currencies use up nothing together: only lines in the currency of the first one count.
lines_ordered as (

    select
        *,
        coalesce(sum(invoiced_amount) over (
            partition by carrier_id, fee_key, agreement_currency, period_start_date
            order by invoice_date, invoice_number, line_number
            rows between unbounded preceding and 1 preceding
        ), 0) as used_up_amount,
        row_number() over (
            partition by carrier_id, fee_key, agreement_currency, period_start_date
            order by invoice_date, invoice_number, line_number
        ) as line_position,
        count(*) over (partition by carrier_id, fee_key, agreement_currency, period_start_date) as line_count
    from lines_joined
    where invoice_currency = first_currency

),

fee_lines_matched as (

    select
        invoice_line_id,
        cast(
            case
                -- What an invoice in another currency uses up is not known before it is converted.
                when invoice_currency != agreement_currency and line_position = 1 then expected_fee_amount
                when invoice_currency != agreement_currency then 0
                when line_position = line_count then greatest(expected_fee_amount - used_up_amount, 0)
                else least(invoiced_amount, greatest(expected_fee_amount - used_up_amount, 0))
            end as {{ exact_amount() }}
        ) as expected_fee_amount,
        is_commitment
    from lines_ordered

)

select * from fee_lines_matched
