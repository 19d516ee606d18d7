-- One row per rating group (carrier agreement, destination, kind of rate) and local day with the cost that
-- our records make us expect, and the invoice line that covers the day, if any. A day is covered once: by the
-- first line of the carrier that states it.
with

days_summed as (

    select
        rating_group_id,
        carrier_local_date,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(billed_quantity) as decimal(18, 3)) as billed_quantity,
        cast(sum(undivided_cost_amount) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from {{ ref('int_usage_summed') }}
    group by rating_group_id, carrier_local_date

),

costs as (

    select
        days_summed.rating_group_id,
        ratings.carrier_id,
        ratings.agreement_id,
        ratings.service,
        ratings.direction,
        ratings.destination_id,
        ratings.destination_name,
        ratings.billed_unit as quantity_unit,
        ratings.rated_cost_currency,
        ratings.rate_amount,
        ratings.rate_per_quantity,
        ratings.connect_fee_amount,
        ratings.is_rounded_per_event,
        days_summed.carrier_local_date,
        {{ month_of('days_summed.carrier_local_date') }} as period_start_date,
        days_summed.event_count,
        days_summed.billed_quantity,
        days_summed.undivided_cost_amount,
        days_summed.rated_cost_amount
    from days_summed
    inner join {{ ref('int_ratings_grouped') }} as ratings
        on days_summed.rating_group_id = ratings.rating_group_id
    where ratings.rating_status = 'rated'

),

lines as (

    select * from {{ ref('int_invoice_lines_versioned') }}
    where line_type = 'usage' and not is_repeated

),

days as (

    select distinct
        carrier_id,
        service,
        direction,
        rated_cost_currency,
        lower(destination_name) as destination_key,
        carrier_local_date
    from costs

),

-- A credit line takes money back; it covers no usage.
days_covered as (

    select
        days.*,
        lines.invoice_line_id
    from days
    inner join lines
        on
            days.carrier_id = lines.carrier_id
            and days.service = lines.service
            and days.direction = lines.direction
            and days.rated_cost_currency = lines.agreement_currency
            and days.destination_key = lower(lines.destination_name)
            and days.carrier_local_date between lines.service_first_date and lines.service_last_date
            and lines.invoiced_amount >= 0
    qualify row_number() over (
        partition by
            days.carrier_id, days.service, days.direction, days.rated_cost_currency, days.destination_key,
            days.carrier_local_date
        order by lines.invoice_date, lines.invoice_number, lines.line_number
    ) = 1

),

-- The days that an invoice is about, per service and direction. Usage on them that no line covers was left
-- out by the carrier; usage outside them is still to be invoiced.
invoice_spans as (

    select
        invoice_id,
        carrier_id,
        service,
        direction,
        agreement_currency,
        min(invoice_date) as invoice_date,
        min(service_first_date) as first_date,
        max(service_last_date) as last_date
    from lines
    where invoiced_amount >= 0
    group by invoice_id, carrier_id, service, direction, agreement_currency

),

days_spanned as (

    select
        days.*,
        invoice_spans.invoice_id
    from days
    inner join invoice_spans
        on
            days.carrier_id = invoice_spans.carrier_id
            and days.service = invoice_spans.service
            and days.direction = invoice_spans.direction
            and days.rated_cost_currency = invoice_spans.agreement_currency
            and days.carrier_local_date between invoice_spans.first_date and invoice_spans.last_date
    qualify row_number() over (
        partition by
            days.carrier_id, days.service, days.direction, days.rated_cost_currency, days.destination_key,
            days.carrier_local_date
        order by invoice_spans.invoice_date, invoice_spans.invoice_id
    ) = 1

),

costs_expected as (

    select
        costs.*,
        days_covered.invoice_line_id,
        case when days_covered.invoice_line_id is null then days_spanned.invoice_id end
            as omitted_by_invoice_id
    from costs
    left join days_covered
        on
            costs.carrier_id = days_covered.carrier_id
            and costs.service = days_covered.service
            and costs.direction = days_covered.direction
            and costs.rated_cost_currency = days_covered.rated_cost_currency
            and lower(costs.destination_name) = days_covered.destination_key
            and costs.carrier_local_date = days_covered.carrier_local_date
    left join days_spanned
        on
            costs.carrier_id = days_spanned.carrier_id
            and costs.service = days_spanned.service
            and costs.direction = days_spanned.direction
            and costs.rated_cost_currency = days_spanned.rated_cost_currency
            and lower(costs.destination_name) = days_spanned.destination_key
            and costs.carrier_local_date = days_spanned.carrier_local_date

)

select * from costs_expected
