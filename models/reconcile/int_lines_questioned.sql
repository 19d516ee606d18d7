-- One row per usage line whose amount differs from ours, and per line that the carrier left out: what the
-- search for its reasons starts from. Only their usage is rated again, so the cost of the search follows the
-- disputed traffic.
with

lines as (

    select
        *,
        carrier_id || ':' || service || ':' || direction as deck_id,
        coalesce(destination_id, md5(lower(destination_name)), '') as place_destination_id
    from {{ ref('int_invoice_lines_matched') }}
    where
        line_type = 'usage'
        and not is_repeated
        and agreement_id is not null
        -- Several services are billed by several policies: one amount for all of them tells of none.
        and service is not null
        and direction is not null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is null

),

-- The days that the invoice is about, for a destination that it leaves out.
spans as (

    select
        invoice_id,
        service,
        direction,
        min(service_first_date) as first_date,
        max(service_last_date) as last_date
    from lines
    where is_invoiced
    group by invoice_id, service, direction

),

destinations_invoiced as (

    select
        carrier_id,
        service,
        direction,
        place_destination_id,
        count(*) as line_count
    from lines
    where is_invoiced and place_type = 'destination'
    group by carrier_id, service, direction, place_destination_id

),

scopes as (

    select
        billing_period_id,
        service,
        direction,
        count(*) as scope_line_count
    from lines
    group by billing_period_id, service, direction

),

lines_dated as (

    select
        lines.invoice_line_id,
        lines.billing_period_id || ':' || lines.service || ':' || lines.direction as carrier_policy_id,
        case
            when lines.place_type = 'service' then lines.deck_id
            when lines.place_type = 'destination' then lines.deck_id || ':' || lines.place_destination_id
            when lines.dial_code is not null then lines.deck_id || ':code ' || lines.dial_code
            else lines.deck_id || ':name ' || md5(lower(lines.destination_name))
        end as usage_place_id,
        lines.place_type,
        lines.carrier_id,
        lines.agreement_id,
        lines.service,
        lines.direction,
        case when lines.place_type = 'destination' then lines.place_destination_id end as destination_id,
        lines.quantity_unit,
        lines.invoice_currency,
        lines.agreement_currency,
        lines.rounding_mode,
        agreements.time_zone,
        lines.agreement_rounding_decimals,
        lines.line_rounding_decimals,
        lines.agreement_units_per_base,
        lines.invoice_units_per_base,
        scopes.scope_line_count,
        lines.invoiced_event_count,
        coalesce(lines.rated_event_count, 0) as rated_event_count,
        lines.invoiced_quantity,
        -- Segments and messages of one line are no sum: nothing is known of its quantity.
        case when lines.rated_event_count is null then 0 else lines.rated_quantity end as rated_quantity,
        -- A rate in another currency is none that could be rated at.
        case when lines.invoice_currency = lines.agreement_currency then lines.invoiced_rate_amount end
            as invoiced_rate_amount,
        lines.invoiced_rate_per_quantity,
        lines.invoiced_amount,
        lines.rated_amount,
        lines.is_invoiced,
        coalesce(lines.destination_source = 'unmapped', false) as is_unmapped,
        lines.period_start_date,
        case
            when lines.is_invoiced or destinations_invoiced.line_count > 0 then lines.service_first_date
            else spans.first_date
        end as service_first_date,
        case
            when lines.is_invoiced or destinations_invoiced.line_count > 0 then lines.service_last_date
            else spans.last_date
        end as service_last_date
    from lines
    inner join agreements
        on lines.agreement_id = agreements.agreement_id
    inner join scopes
        on
            lines.billing_period_id = scopes.billing_period_id
            and lines.service = scopes.service
            and lines.direction = scopes.direction
    inner join spans
        on
            lines.invoice_id = spans.invoice_id
            and lines.service = spans.service
            and lines.direction = spans.direction
    left join destinations_invoiced
        on
            lines.carrier_id = destinations_invoiced.carrier_id
            and lines.service = destinations_invoiced.service
            and lines.direction = destinations_invoiced.direction
            and lines.place_destination_id = destinations_invoiced.place_destination_id
    where
        lines.is_convertible
        and lines.invoiced_amount >= 0
        and lines.invoiced_amount != lines.rated_amount
        and coalesce(lines.quantity_unit = lines.rated_quantity_unit, true)

),

lines_questioned as (

    select
        *,
        service_first_date = period_start_date as begins_its_period,
        {{ add_days('service_last_date', 1) }} = {{ next_month_of('period_start_date') }} as ends_its_period
    from lines_dated

)

select * from lines_questioned
