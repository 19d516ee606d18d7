-- One row per carrier, billing period, currency and grain: how much of the invoiced usage our records prove
-- at that grain. A line proves what both sides say, at the finest grain that it offers; of it, what single
-- calls stand behind is proven by calls. Lines whose destination nobody knows prove nothing.
with

proofs as (

    select * from {{ ref('int_call_proofs_summed') }}

),

lines as (

    select
        invoice_lines.*,
        invoice_lines.quantity_unit = 'second' as is_of_duration,
        coalesce(invoice_lines.destination_source = 'unmapped', false) as is_unmapped,
        case
            when invoice_lines.destination_source = 'unmapped' then cast(0 as {{ exact_amount() }})
            else cast(
                greatest(0, least(invoice_lines.invoiced_amount, invoice_lines.rated_amount))
                as {{ exact_amount() }}
            )
        end as agreed_amount,
        cast(coalesce(proofs.proven_amount, 0) as {{ exact_amount() }}) as call_amount
    from {{ ref('int_invoice_lines_matched') }} as invoice_lines
    left join proofs
        on
            invoice_lines.invoice_line_id = proofs.invoice_line_id
            and invoice_lines.invoice_currency = proofs.proven_currency
    where invoice_lines.line_type = 'usage' and invoice_lines.is_invoiced

),

lines_proven as (

    select
        *,
        least(call_amount, agreed_amount) as call_proven_amount
    from lines

),

parts as (

    select
        carrier_id,
        billing_period_id,
        matched_grain,
        invoice_currency,
        period_start_date,
        1 as line_count,
        case when invoiced_event_count is not null then 1 else 0 end as event_line_count,
        case when invoiced_event_count = coalesce(rated_event_count, 0) then 1 else 0 end
            as event_agreed_line_count,
        case when invoiced_quantity is not null and not coalesce(is_of_duration, false) then 1 else 0 end
            as quantity_line_count,
        case
            when invoiced_quantity = coalesce(rated_quantity, 0) and not coalesce(is_of_duration, false)
                then 1
            else 0
        end as quantity_agreed_line_count,
        case when invoiced_quantity is not null and is_of_duration then 1 else 0 end as duration_line_count,
        case when invoiced_quantity = coalesce(rated_quantity, 0) and is_of_duration then 1 else 0 end
            as duration_agreed_line_count,
        case when invoiced_amount = rated_amount then 1 else 0 end as amount_agreed_line_count,
        invoiced_amount - call_proven_amount as invoiced_amount,
        agreed_amount - call_proven_amount as proven_amount,
        case when is_unmapped then invoiced_amount else 0 end as unmapped_amount,
        case when destination_source = 'likeness' then agreed_amount - call_proven_amount else 0 end
            as likened_amount
    from lines_proven
    union all
    select
        carrier_id,
        billing_period_id,
        'call' as matched_grain,
        invoice_currency,
        period_start_date,
        1 as line_count,
        0 as event_line_count,
        0 as event_agreed_line_count,
        0 as quantity_line_count,
        0 as quantity_agreed_line_count,
        0 as duration_line_count,
        0 as duration_agreed_line_count,
        0 as amount_agreed_line_count,
        call_proven_amount as invoiced_amount,
        call_proven_amount as proven_amount,
        0 as unmapped_amount,
        case when destination_source = 'likeness' then call_proven_amount else 0 end as likened_amount
    from lines_proven
    where call_proven_amount > 0

),

carrier_proofs_summed as (

    select
        carrier_id || ':' || billing_period_id || ':' || invoice_currency || ':' || matched_grain
            as carrier_proof_id,
        carrier_id,
        billing_period_id,
        matched_grain,
        invoice_currency,
        {% for measure in [
            'line', 'event_line', 'event_agreed_line', 'quantity_line', 'quantity_agreed_line', 'duration_line',
            'duration_agreed_line', 'amount_agreed_line',
        ] %}
            sum({{ measure }}_count) as {{ measure }}_count,
        {% endfor %}
        cast(sum(invoiced_amount) as {{ exact_amount() }}) as invoiced_amount,
        cast(sum(proven_amount) as {{ exact_amount() }}) as proven_amount,
        cast(sum(unmapped_amount) as {{ exact_amount() }}) as unmapped_amount,
        cast(sum(invoiced_amount - proven_amount - unmapped_amount) as {{ exact_amount() }})
            as unproven_amount,
        cast(sum(likened_amount) as {{ exact_amount() }}) as likened_amount,
        period_start_date
    from parts
    group by carrier_id, billing_period_id, matched_grain, invoice_currency, period_start_date

)

select * from carrier_proofs_summed
