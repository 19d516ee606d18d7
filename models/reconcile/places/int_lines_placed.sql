-- One row per usage line and destination or dial code that it is about; one row without either where it is
-- about all of a service, or of several, or where nobody knows its destination. A line that names no service
-- is of the only one that its agreement has.
with

lines as (

    select
        *,
        lower(destination_name) as destination_key
    from {{ ref('int_invoice_lines_versioned') }}
    where line_type = 'usage'

),

services_agreed as (

    select
        agreement_id,
        service,
        direction
    from {{ ref('int_rating_terms_resolved') }}
    group by agreement_id, service, direction

),

services_unsaid as (

    select
        lines.invoice_line_id,
        case
            when min(services_agreed.service) = max(services_agreed.service)
                then min(services_agreed.service)
        end as service,
        case
            when
                min(services_agreed.service) = max(services_agreed.service)
                and min(services_agreed.direction) = max(services_agreed.direction)
                then min(services_agreed.direction)
        end as direction
    from lines
    inner join services_agreed
        on
            lines.agreement_id = services_agreed.agreement_id
            and coalesce(lines.service = services_agreed.service, true)
            and coalesce(lines.direction = services_agreed.direction, true)
    where lines.service is null or lines.direction is null
    group by lines.invoice_line_id

),

names as (

    select * from {{ ref('int_destination_names_mapped') }}

),

places as (

    select
        lines.*,
        coalesce(lines.service, services_unsaid.service) as place_service,
        coalesce(lines.direction, services_unsaid.direction) as place_direction,
        names.destination_id,
        coalesce(lines.dial_code, names.dial_code) as place_dial_code,
        case when lines.dial_code is not null then 'code' else names.destination_source end
            as destination_source,
        case when lines.dial_code is not null then cast(1 as decimal(3, 2)) else names.confidence end
            as confidence
    from lines
    left join services_unsaid
        on lines.invoice_line_id = services_unsaid.invoice_line_id
    left join names
        on
            lines.carrier_id = names.carrier_id
            and lines.service = names.service
            and lines.direction = names.direction
            and lines.period_start_date = names.period_start_date
            and lines.destination_key = names.destination_key
            and lines.dial_code is null

),

lines_placed as (

    select
        invoice_line_id || coalesce(':' || place_dial_code, '') as line_place_id,
        invoice_line_id,
        invoice_id,
        carrier_id,
        agreement_id,
        invoice_number,
        place_service as service,
        place_direction as direction,
        destination_id,
        place_dial_code as dial_code,
        case
            when place_dial_code is not null then 'dial_code'
            when destination_key is not null then 'destination'
            when place_service is not null then 'service'
            else 'total'
        end as place_type,
        destination_source,
        confidence,
        agreement_currency,
        line_number,
        -- A credit line takes money back, and a repeated one asks for it again; neither covers usage.
        invoiced_amount >= 0 and not is_repeated as covers_usage,
        invoice_date,
        service_first_date,
        service_last_date
    from places

)

select * from lines_placed
