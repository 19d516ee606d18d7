-- One row per rating group (carrier agreement, destination, kind of rate), local day and, where the carrier
-- bills by dial codes, code, with the cost that our records make us expect, and the invoice line that covers
-- it, if any. Usage is covered once, by the line that comes closest to it: one of its dial code, else one of
-- its destination, its service, or all services; of equals by the first line of the carrier that states it.
{% set of_service = 'days.service = lines.service and days.direction = lines.direction' %}
{% set ways_to_cover = [
    of_service ~ ' and days.dial_code = lines.dial_code',
    of_service ~ ' and days.destination_id = lines.destination_id',
    "lines.place_type = 'service' and days.service = lines.service "
    ~ 'and coalesce(days.direction = lines.direction, true)',
    "lines.place_type = 'total'",
] %}
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

-- Usage groups know no dial codes; only of carriers that bill by them are the events asked.
events_coded as (

    select
        ratings.*,
        coded.dial_code
    from {{ ref('int_events_coded') }} as coded
    inner join {{ ref('int_events_rated') }} as ratings
        on coded.event_id = ratings.event_id
    where ratings.rating_status = 'rated'

),

events_keyed as (

    select
        *,
        {{ rating_group_key() }} as rating_group_id
    from events_coded

),

codes_summed as (

    select
        rating_group_id,
        carrier_local_date,
        dial_code,
        count(*) as event_count,
        cast(sum(billed_quantity) as decimal(18, 3)) as billed_quantity,
        cast(sum(undivided_cost_amount) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from events_keyed
    group by rating_group_id, carrier_local_date, dial_code

),

days_coded as (

    select
        rating_group_id,
        carrier_local_date,
        sum(event_count) as event_count,
        sum(billed_quantity) as billed_quantity,
        sum(undivided_cost_amount) as undivided_cost_amount,
        sum(rated_cost_amount) as rated_cost_amount
    from codes_summed
    group by rating_group_id, carrier_local_date

),

-- What no dial code of an invoice begins is left of its day.
usage_split as (

    select
        rating_group_id,
        carrier_local_date,
        dial_code,
        event_count,
        billed_quantity,
        undivided_cost_amount,
        rated_cost_amount
    from codes_summed
    union all
    select
        days_summed.rating_group_id,
        days_summed.carrier_local_date,
        cast(null as string) as dial_code,
        cast(days_summed.event_count - coalesce(days_coded.event_count, 0) as bigint) as event_count,
        cast(days_summed.billed_quantity - coalesce(days_coded.billed_quantity, 0) as decimal(18, 3))
            as billed_quantity,
        cast(
            days_summed.undivided_cost_amount - coalesce(days_coded.undivided_cost_amount, 0)
            as {{ exact_amount() }}
        ) as undivided_cost_amount,
        cast(
            days_summed.rated_cost_amount - coalesce(days_coded.rated_cost_amount, 0) as {{ exact_amount() }}
        ) as rated_cost_amount
    from days_summed
    left join days_coded
        on
            days_summed.rating_group_id = days_coded.rating_group_id
            and days_summed.carrier_local_date = days_coded.carrier_local_date
    where days_summed.event_count > coalesce(days_coded.event_count, 0)

),

costs as (

    select
        usage_split.rating_group_id,
        ratings.carrier_id,
        ratings.agreement_id,
        ratings.service,
        ratings.direction,
        ratings.destination_id,
        ratings.destination_name,
        usage_split.dial_code,
        ratings.carrier_id || ':' || ratings.service || ':' || ratings.direction
        || ':' || ratings.rated_cost_currency || ':' || coalesce(ratings.destination_id, '')
        || ':' || coalesce(usage_split.dial_code, '') as usage_cell_id,
        ratings.billed_unit as quantity_unit,
        ratings.rated_cost_currency,
        ratings.rate_amount,
        ratings.rate_per_quantity,
        ratings.connect_fee_amount,
        ratings.is_rounded_per_event,
        usage_split.carrier_local_date,
        {{ month_of('usage_split.carrier_local_date') }} as period_start_date,
        usage_split.event_count,
        usage_split.billed_quantity,
        usage_split.undivided_cost_amount,
        usage_split.rated_cost_amount
    from usage_split
    inner join {{ ref('int_ratings_grouped') }} as ratings
        on usage_split.rating_group_id = ratings.rating_group_id
    where ratings.rating_status = 'rated'

),

lines as (

    select * from {{ ref('int_lines_placed') }}
    where covers_usage

),

days as (

    select
        usage_cell_id,
        carrier_local_date,
        carrier_id,
        service,
        direction,
        rated_cost_currency,
        destination_id,
        dial_code
    from costs
    group by
        usage_cell_id, carrier_local_date, carrier_id, service, direction, rated_cost_currency,
        destination_id, dial_code

),

lines_possible as (

    {% for condition in ways_to_cover %}
        select
            days.usage_cell_id,
            days.carrier_local_date,
            lines.place_type,
            lines.invoice_line_id,
            lines.invoice_date,
            lines.invoice_number,
            lines.line_number
        from days
        inner join lines
            on
                days.carrier_id = lines.carrier_id
                and days.rated_cost_currency = lines.agreement_currency
                and days.carrier_local_date between lines.service_first_date and lines.service_last_date
                and {{ condition }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

days_covered as (

    select
        usage_cell_id,
        carrier_local_date,
        invoice_line_id
    from lines_possible
    qualify row_number() over (
        partition by usage_cell_id, carrier_local_date
        order by
            case place_type
                when 'dial_code' then 0 when 'destination' then 1 when 'service' then 2 else 3
            end asc,
            invoice_date asc, invoice_number asc, line_number asc
    ) = 1

),

-- The days that an invoice is about, per service and direction. Usage on them that no line covers was left
-- out by the carrier; usage outside them is still to be invoiced. A line of all of a service leaves none out.
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
    where service is not null and direction is not null
    group by invoice_id, carrier_id, service, direction, agreement_currency

),

days_spanned as (

    select
        days.usage_cell_id,
        days.carrier_local_date,
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
        partition by days.usage_cell_id, days.carrier_local_date
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
            costs.usage_cell_id = days_covered.usage_cell_id
            and costs.carrier_local_date = days_covered.carrier_local_date
    left join days_spanned
        on
            costs.usage_cell_id = days_spanned.usage_cell_id
            and costs.carrier_local_date = days_spanned.carrier_local_date

)

select * from costs_expected
