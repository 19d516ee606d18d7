-- One row per line of the latest version of each carrier invoice, with the agreement and billing period that
-- it belongs to. The version decides, never the currency: a bill restated in another currency counts once. A
-- line that repeats an earlier line of the carrier is marked.
with

invoice_lines as (

    select
        collected.*,
        dense_rank() over (
            partition by collected.carrier_id, collected.invoice_number
            order by collected.invoice_version desc
        ) as version_age,
        -- A version that is sent again is the newest file whole: a line that it no longer has is gone. A line
        -- that leaves quarantine later than the others came with its file, and takes nothing from them.
        dense_rank() over (
            partition by collected.carrier_id, collected.invoice_number, collected.invoice_version
            order by coalesce(files.loaded_at, collected.loaded_at) desc, collected.file_id desc
        ) as file_age,
        row_number() over (
            partition by
                collected.carrier_id, collected.invoice_number, collected.invoice_version,
                collected.line_number
            order by
                coalesce(files.loaded_at, collected.loaded_at) desc, collected.file_id desc,
                collected.record_number desc
        ) as copy_number
    from {{ ref('int_invoice_lines_collected') }} as collected
    left join {{ ref('stg_ingest__files') }} as files
        on collected.file_id = files.file_id
    where collected.refusal_reason is null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is null

),

lines_with_agreements as (

    select
        invoice_lines.*,
        agreements.agreement_id,
        agreements.currency as agreement_currency,
        agreements.rounding_mode,
        coalesce(agreements.line_rounding_decimals, currencies.minor_unit_decimals)
            as agreement_rounding_decimals,
        -- What is agreed of yen says nothing of cents: another currency is rounded as much finer or coarser
        -- than its own minor unit.
        case
            when agreements.line_rounding_decimals is null then currencies.minor_unit_decimals
            else greatest(
                agreements.line_rounding_decimals - agreed_currencies.minor_unit_decimals
                + currencies.minor_unit_decimals, 0
            )
        end as line_rounding_decimals,
        agreements.total_rounding_decimals,
        coalesce(agreements.tax_ratio, 0) as tax_ratio,
        coalesce(agreements.payment_days, 30) as payment_days,
        {{ month_of('invoice_lines.billing_period_start_date') }} as period_start_date
    from invoice_lines
    left join agreements
        on
            invoice_lines.carrier_id = agreements.party_id
            and invoice_lines.billing_period_start_date >= {{ month_of('agreements.valid_from_date') }}
            and invoice_lines.billing_period_start_date < agreements.valid_until_date
    inner join {{ ref('currencies') }} as currencies
        on invoice_lines.invoice_currency = currencies.currency_code
    left join {{ ref('currencies') }} as agreed_currencies
        on agreements.currency = agreed_currencies.currency_code
    where invoice_lines.version_age = 1 and invoice_lines.file_age = 1 and invoice_lines.copy_number = 1
    -- Of two agreements in one month the earlier one was in force when the billing period began.
    qualify row_number() over (
        partition by invoice_lines.carrier_id, invoice_lines.invoice_number, invoice_lines.line_number
        order by agreements.valid_from_date
    ) = 1

),

invoice_lines_versioned as (

    select
        carrier_id || ':' || invoice_number || ':' || cast(line_number as string) as invoice_line_id,
        carrier_id || ':' || invoice_number as invoice_id,
        coalesce(agreement_id, carrier_id) || ':' || {{ month_name_of('period_start_date') }}
            as billing_period_id,
        carrier_id,
        agreement_id,
        invoice_number,
        line_type,
        service,
        direction,
        destination_name,
        dial_code,
        line_description,
        lower(fee_name) as fee_key,
        invoice_currency,
        coalesce(agreement_currency, invoice_currency) as agreement_currency,
        coalesce(rounding_mode, 'half_up') as rounding_mode,
        quantity_unit,
        invoice_version,
        line_number,
        agreement_rounding_decimals,
        line_rounding_decimals,
        total_rounding_decimals,
        payment_days,
        tax_ratio,
        invoiced_event_count,
        invoiced_quantity,
        invoiced_rate_amount,
        invoiced_rate_per_quantity,
        invoiced_amount,
        invoice_total_amount,
        line_type = 'usage' and row_number() over (
            partition by
                carrier_id, line_type, service, direction, lower(destination_name), dial_code,
                service_first_date, service_last_date,
                invoiced_event_count, invoiced_quantity, invoiced_amount
            order by invoice_date, invoice_number, line_number
        ) > 1 as is_repeated,
        row_number() over (
            partition by carrier_id, invoice_number, line_type order by line_number
        ) as tax_line_position,
        invoice_date,
        period_start_date,
        service_first_date,
        service_last_date
    from lines_with_agreements

)

select * from invoice_lines_versioned
