with lines as (

    select * from {{ ref('int_invoice_lines_matched') }}

),

disputed_components as (

    select
        invoice_line_id,
        cast(sum(component_variance_amount) as {{ exact_amount() }}) as disputed_variance_amount
    from {{ ref('int_variances_disputed') }}
    group by invoice_line_id

),

proofs as (

    select * from {{ ref('int_call_proofs_summed') }}

),

fct_carrier_invoice_lines as (

    select
        lines.invoice_line_id,
        lines.carrier_id,
        lines.billing_period_id,
        lines.destination_id,
        lines.invoice_number,
        lines.line_type,
        lines.service,
        lines.direction,
        lines.destination_name,
        lines.line_description,
        case
            when not lines.is_invoiced then 'not_invoiced'
            when disputed_components.invoice_line_id is not null then 'disputed'
            when lines.invoiced_amount = lines.rated_amount then 'agreed'
            when lines.invoiced_amount < lines.rated_amount then 'undercharged'
            else 'tolerated'
        end as line_status,
        case
            when lines.line_type != 'usage' then null
            when proofs.invoice_line_id is not null then 'call'
            else lines.matched_grain
        end as matched_grain,
        lines.dial_code,
        lines.destination_source,
        lines.quantity_unit,
        cast(lines.invoice_version as integer) as invoice_version,
        cast(lines.line_number as integer) as line_number,
        cast(lines.invoiced_event_count as bigint) as invoiced_event_count,
        cast(coalesce(lines.rated_event_count, 0) as bigint) as rated_event_count,
        cast(lines.invoiced_quantity as decimal(18, 3)) as invoiced_quantity,
        cast(coalesce(lines.rated_quantity, 0) as decimal(18, 3)) as rated_quantity,
        cast(lines.invoiced_rate_amount as decimal(18, 8)) as invoiced_rate_amount,
        cast(lines.rated_rate_amount as decimal(18, 8)) as rated_rate_amount,
        cast(lines.invoiced_amount as decimal(18, 6)) as invoiced_amount,
        cast(lines.rated_amount as decimal(18, 6)) as rated_amount,
        cast(lines.invoiced_amount - lines.rated_amount as decimal(18, 6)) as variance_amount,
        cast(coalesce(disputed_components.disputed_variance_amount, 0) as decimal(18, 6))
            as disputed_variance_amount,
        cast(proofs.proven_amount as decimal(38, 12)) as call_proven_amount,
        cast(lines.confidence as decimal(3, 2)) as confidence,
        lines.invoice_currency,
        lines.is_invoiced,
        lines.is_repeated,
        lines.invoice_date,
        lines.service_first_date,
        lines.service_last_date
    from lines
    left join disputed_components
        on lines.invoice_line_id = disputed_components.invoice_line_id
    left join proofs
        on lines.invoice_line_id = proofs.invoice_line_id and lines.invoice_currency = proofs.proven_currency

)

select * from fct_carrier_invoice_lines
