-- One row per invoice line with what our records say it should have been, one per destination, fee or tax
-- that the carrier left out of an invoice that is about it, and one for the rounding of a total. Both
-- sides are in the invoice's currency and rounded as the invoice rounds its lines; where that is another
-- currency than the agreement's, ours is rounded as agreed before it is converted.
with

lines as (

    select * from {{ ref('int_invoice_lines_versioned') }}

),

costs as (

    select * from {{ ref('int_costs_expected') }}

),

-- A name that stands for several dial codes is one place.
places as (

    select
        invoice_line_id,
        min(service) as service,
        min(direction) as direction,
        min(destination_id) as destination_id,
        case when count(*) = 1 then min(dial_code) end as dial_code,
        min(place_type) as place_type,
        min(destination_source) as destination_source,
        min(confidence) as confidence
    from {{ ref('int_lines_placed') }}
    group by invoice_line_id

),

line_fees as (

    select * from {{ ref('int_fee_lines_matched') }}

),

taxes as (

    select * from {{ ref('int_taxes_expected') }}

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'carrier' and refusal_reason is null

),

invoices as (

    select * from {{ ref('int_invoices_footed') }}

),

-- What stands behind each line. The sum is divided once; where rates of unlike quantities meet in a line,
-- each part is divided.
line_costs as (

    select
        invoice_line_id,
        case when min(destination_id) = max(destination_id) then min(destination_id) end as destination_id,
        -- Seconds and segments are no sum.
        case when min(quantity_unit) = max(quantity_unit) then min(quantity_unit) end as quantity_unit,
        sum(event_count) as rated_event_count,
        case
            when count(distinct quantity_unit) < 2 then cast(sum(billed_quantity) as decimal(18, 3))
        end as rated_quantity,
        min(rate_amount) as least_rate_amount,
        max(rate_amount) as most_rate_amount,
        min(rate_per_quantity) as rate_per_quantity,
        max(connect_fee_amount) as connect_fee_amount,
        bool_or(is_rounded_per_event) as is_rounded_per_event,
        min(rate_per_quantity) = max(rate_per_quantity) as has_one_rate_quantity,
        cast(sum(undivided_cost_amount) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(sum(rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from costs
    where invoice_line_id is not null
    group by invoice_line_id

),

omitted_costs as (

    select
        costs.omitted_by_invoice_id,
        costs.agreement_id,
        costs.carrier_id,
        costs.service,
        costs.direction,
        costs.destination_id,
        min(costs.destination_name) as destination_name,
        min(costs.quantity_unit) as quantity_unit,
        min(costs.carrier_local_date) as service_first_date,
        max(costs.carrier_local_date) as service_last_date,
        sum(costs.event_count) as rated_event_count,
        cast(sum(costs.billed_quantity) as decimal(18, 3)) as rated_quantity,
        min(costs.rate_per_quantity) as rate_per_quantity,
        bool_or(costs.is_rounded_per_event) as is_rounded_per_event,
        min(costs.rate_per_quantity) = max(costs.rate_per_quantity) as has_one_rate_quantity,
        cast(sum(costs.undivided_cost_amount) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(sum(costs.rated_cost_amount) as {{ exact_amount() }}) as rated_cost_amount
    from costs
    where costs.omitted_by_invoice_id is not null
    group by
        costs.omitted_by_invoice_id, costs.agreement_id, costs.carrier_id, costs.service, costs.direction,
        costs.destination_id

),

omitted_charges as (

    select
        omitted_by_invoice_id as invoice_id,
        expected_fee_id as charge_id,
        agreement_id,
        'fee' as line_type,
        service,
        direction,
        fee_name || ', expected, not invoiced' as line_description,
        expected_fee_amount,
        cast(null as {{ exact_amount() }}) as expected_tax_amount
    from {{ ref('int_fees_expected') }}
    where omitted_by_invoice_id is not null and expected_fee_amount != 0
    union all
    select
        invoice_id,
        'tax' as charge_id,
        agreement_id,
        'tax' as line_type,
        cast(null as string) as service,
        cast(null as string) as direction,
        'tax, expected, not invoiced' as line_description,
        cast(null as {{ exact_amount() }}) as expected_fee_amount,
        expected_tax_amount
    from taxes
    where not is_invoiced and expected_tax_amount != 0

),

lines_and_omissions as (

    select
        lines.invoice_line_id,
        lines.invoice_id,
        lines.billing_period_id,
        lines.carrier_id,
        lines.agreement_id,
        lines.invoice_number,
        lines.line_type,
        coalesce(lines.service, places.service) as service,
        coalesce(lines.direction, places.direction) as direction,
        coalesce(places.destination_id, line_costs.destination_id) as destination_id,
        lines.destination_name,
        places.dial_code,
        places.place_type,
        case when lines.service_first_date = lines.service_last_date then 'day' else places.place_type end
            as matched_grain,
        places.destination_source,
        places.confidence,
        lines.line_description,
        lines.invoice_currency,
        lines.agreement_currency,
        lines.rounding_mode,
        coalesce(lines.quantity_unit, line_costs.quantity_unit) as quantity_unit,
        line_costs.quantity_unit as rated_quantity_unit,
        lines.invoice_version,
        lines.line_number,
        lines.agreement_rounding_decimals,
        lines.line_rounding_decimals,
        lines.payment_days,
        lines.invoiced_event_count,
        line_costs.rated_event_count,
        lines.invoiced_quantity,
        line_costs.rated_quantity,
        lines.invoiced_rate_amount,
        lines.invoiced_rate_per_quantity,
        case
            when line_costs.least_rate_amount = line_costs.most_rate_amount then line_costs.least_rate_amount
        end as rated_rate_amount,
        line_costs.rate_per_quantity as rated_rate_per_quantity,
        coalesce(line_costs.connect_fee_amount, 0) as connect_fee_amount,
        line_costs.is_rounded_per_event,
        line_costs.has_one_rate_quantity,
        line_costs.undivided_cost_amount,
        line_costs.rated_cost_amount,
        case
            when lines.line_type != 'tax' then null
            -- The tax of the whole invoice stands against the first tax line; nothing is left to expect of
            -- further ones.
            when lines.tax_line_position > 1 then cast(0 as {{ exact_amount() }})
            else taxes.expected_tax_amount
        end as expected_tax_amount,
        line_fees.expected_fee_amount,
        cast(null as {{ exact_amount() }}) as expected_rounding_amount,
        lines.invoiced_amount,
        true as is_invoiced,
        lines.is_repeated,
        lines.invoice_date,
        lines.period_start_date,
        lines.service_first_date,
        lines.service_last_date
    from lines
    left join places
        on lines.invoice_line_id = places.invoice_line_id
    left join line_costs
        on lines.invoice_line_id = line_costs.invoice_line_id
    left join line_fees
        on lines.invoice_line_id = line_fees.invoice_line_id
    left join taxes
        on lines.invoice_id = taxes.invoice_id

    union all

    select
        invoices.invoice_id || ':' || omitted_costs.agreement_id || ':' || omitted_costs.service
        || ':' || omitted_costs.direction
        -- Attempts at a number that no code begins cost a fee, and are of no destination.
        || ':' || coalesce(omitted_costs.destination_id, '') as invoice_line_id,
        invoices.invoice_id,
        invoices.billing_period_id,
        omitted_costs.carrier_id,
        omitted_costs.agreement_id,
        invoices.invoice_number,
        'usage' as line_type,
        omitted_costs.service,
        omitted_costs.direction,
        omitted_costs.destination_id,
        omitted_costs.destination_name,
        cast(null as string) as dial_code,
        'destination' as place_type,
        cast(null as string) as matched_grain,
        cast(null as string) as destination_source,
        cast(null as decimal(3, 2)) as confidence,
        'expected, not invoiced' as line_description,
        invoices.invoice_currency,
        agreements.currency as agreement_currency,
        agreements.rounding_mode,
        omitted_costs.quantity_unit,
        omitted_costs.quantity_unit as rated_quantity_unit,
        invoices.invoice_version,
        cast(null as integer) as line_number,
        agreements.line_rounding_decimals as agreement_rounding_decimals,
        case
            when agreements.currency = invoices.invoice_currency then agreements.line_rounding_decimals
            else invoices.line_rounding_decimals
        end as line_rounding_decimals,
        agreements.payment_days,
        cast(0 as bigint) as invoiced_event_count,
        omitted_costs.rated_event_count,
        cast(0 as decimal(18, 3)) as invoiced_quantity,
        omitted_costs.rated_quantity,
        cast(null as decimal(18, 8)) as invoiced_rate_amount,
        cast(null as integer) as invoiced_rate_per_quantity,
        cast(null as decimal(18, 8)) as rated_rate_amount,
        omitted_costs.rate_per_quantity as rated_rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        omitted_costs.is_rounded_per_event,
        omitted_costs.has_one_rate_quantity,
        omitted_costs.undivided_cost_amount,
        omitted_costs.rated_cost_amount,
        cast(null as {{ exact_amount() }}) as expected_tax_amount,
        cast(null as {{ exact_amount() }}) as expected_fee_amount,
        cast(null as {{ exact_amount() }}) as expected_rounding_amount,
        cast(0 as decimal(18, 6)) as invoiced_amount,
        false as is_invoiced,
        false as is_repeated,
        invoices.invoice_date,
        invoices.period_start_date,
        omitted_costs.service_first_date,
        omitted_costs.service_last_date
    from omitted_costs
    inner join invoices
        on omitted_costs.omitted_by_invoice_id = invoices.invoice_id
    inner join agreements
        on omitted_costs.agreement_id = agreements.agreement_id

    union all

    select
        invoices.invoice_id || ':' || omitted_charges.charge_id as invoice_line_id,
        invoices.invoice_id,
        invoices.billing_period_id,
        agreements.party_id as carrier_id,
        omitted_charges.agreement_id,
        invoices.invoice_number,
        omitted_charges.line_type,
        omitted_charges.service,
        omitted_charges.direction,
        cast(null as string) as destination_id,
        cast(null as string) as destination_name,
        cast(null as string) as dial_code,
        cast(null as string) as place_type,
        cast(null as string) as matched_grain,
        cast(null as string) as destination_source,
        cast(null as decimal(3, 2)) as confidence,
        omitted_charges.line_description,
        invoices.invoice_currency,
        agreements.currency as agreement_currency,
        agreements.rounding_mode,
        cast(null as string) as quantity_unit,
        cast(null as string) as rated_quantity_unit,
        invoices.invoice_version,
        cast(null as integer) as line_number,
        agreements.line_rounding_decimals as agreement_rounding_decimals,
        case
            when agreements.currency = invoices.invoice_currency then agreements.line_rounding_decimals
            else invoices.line_rounding_decimals
        end as line_rounding_decimals,
        agreements.payment_days,
        cast(null as bigint) as invoiced_event_count,
        cast(null as bigint) as rated_event_count,
        cast(null as decimal(18, 3)) as invoiced_quantity,
        cast(null as decimal(18, 3)) as rated_quantity,
        cast(null as decimal(18, 8)) as invoiced_rate_amount,
        cast(null as integer) as invoiced_rate_per_quantity,
        cast(null as decimal(18, 8)) as rated_rate_amount,
        cast(null as integer) as rated_rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        cast(null as boolean) as is_rounded_per_event,
        cast(null as boolean) as has_one_rate_quantity,
        cast(null as {{ exact_amount() }}) as undivided_cost_amount,
        cast(null as {{ exact_amount() }}) as rated_cost_amount,
        omitted_charges.expected_tax_amount,
        omitted_charges.expected_fee_amount,
        cast(null as {{ exact_amount() }}) as expected_rounding_amount,
        cast(0 as decimal(18, 6)) as invoiced_amount,
        false as is_invoiced,
        false as is_repeated,
        invoices.invoice_date,
        invoices.period_start_date,
        cast(null as date) as service_first_date,
        cast(null as date) as service_last_date
    from omitted_charges
    inner join invoices
        on omitted_charges.invoice_id = invoices.invoice_id
    inner join agreements
        on omitted_charges.agreement_id = agreements.agreement_id

    union all

    select
        invoice_id || ':rounding' as invoice_line_id,
        invoice_id,
        billing_period_id,
        carrier_id,
        agreement_id,
        invoice_number,
        'rounding' as line_type,
        cast(null as string) as service,
        cast(null as string) as direction,
        cast(null as string) as destination_id,
        cast(null as string) as destination_name,
        cast(null as string) as dial_code,
        cast(null as string) as place_type,
        cast(null as string) as matched_grain,
        cast(null as string) as destination_source,
        cast(null as decimal(3, 2)) as confidence,
        'rounding of the total' as line_description,
        invoice_currency,
        agreement_currency,
        rounding_mode,
        cast(null as string) as quantity_unit,
        cast(null as string) as rated_quantity_unit,
        invoice_version,
        cast(null as integer) as line_number,
        agreement_rounding_decimals,
        line_rounding_decimals,
        payment_days,
        cast(null as bigint) as invoiced_event_count,
        cast(null as bigint) as rated_event_count,
        cast(null as decimal(18, 3)) as invoiced_quantity,
        cast(null as decimal(18, 3)) as rated_quantity,
        cast(null as decimal(18, 8)) as invoiced_rate_amount,
        cast(null as integer) as invoiced_rate_per_quantity,
        cast(null as decimal(18, 8)) as rated_rate_amount,
        cast(null as integer) as rated_rate_per_quantity,
        cast(0 as decimal(18, 8)) as connect_fee_amount,
        cast(null as boolean) as is_rounded_per_event,
        cast(null as boolean) as has_one_rate_quantity,
        cast(null as {{ exact_amount() }}) as undivided_cost_amount,
        cast(null as {{ exact_amount() }}) as rated_cost_amount,
        cast(null as {{ exact_amount() }}) as expected_tax_amount,
        cast(null as {{ exact_amount() }}) as expected_fee_amount,
        expected_rounding_amount,
        cast(invoiced_rounding_amount as decimal(18, 6)) as invoiced_amount,
        true as is_invoiced,
        false as is_repeated,
        invoice_date,
        period_start_date,
        cast(null as date) as service_first_date,
        cast(null as date) as service_last_date
    from invoices
    where invoiced_rounding_amount != 0 or expected_rounding_amount != 0

),

-- The rate of the last day of the billing period, the default of agreements that name no other.
fx_rates_joined as (

    select
        lines_and_omissions.*,
        agreement_rates.units_per_base as agreement_units_per_base,
        invoice_rates.units_per_base as invoice_units_per_base,
        -- Without an exchange rate there is nothing to compare with: the whole line becomes a variance of
        -- cause FX.
        lines_and_omissions.invoice_currency = lines_and_omissions.agreement_currency
        or (agreement_rates.units_per_base is not null and invoice_rates.units_per_base is not null)
            as is_convertible
    from lines_and_omissions
    left join rates as agreement_rates
        on
            lines_and_omissions.agreement_currency = agreement_rates.currency
            and {{ add_days(next_month_of('lines_and_omissions.period_start_date'), -1) }}
            >= agreement_rates.valid_from_date
            and {{ add_days(next_month_of('lines_and_omissions.period_start_date'), -1) }}
            < agreement_rates.valid_until_date
    left join rates as invoice_rates
        on
            lines_and_omissions.invoice_currency = invoice_rates.currency
            and {{ add_days(next_month_of('lines_and_omissions.period_start_date'), -1) }}
            >= invoice_rates.valid_from_date
            and {{ add_days(next_month_of('lines_and_omissions.period_start_date'), -1) }}
            < invoice_rates.valid_until_date

),

-- Where no event is rounded, the exact undivided sum is divided and rounded in one step; otherwise the
-- rounded events are summed.
agreement_amounts_rounded as (

    select
        *,
        case
            when line_type = 'fee' then coalesce(expected_fee_amount, 0)
            when rated_event_count is null then cast(0 as {{ exact_amount() }})
            when is_rounded_per_event or not has_one_rate_quantity
                then {{ round_money('rated_cost_amount', 'agreement_rounding_decimals', 'rounding_mode') }}
            else {{ divide_and_round(
                'undivided_cost_amount', 'rated_rate_per_quantity',
                'agreement_rounding_decimals', 'rounding_mode'
            ) }}
        end as agreement_rated_amount
    from fx_rates_joined

),

invoice_lines_matched as (

    select
        *,
        case
            when line_type = 'tax' then expected_tax_amount
            when line_type = 'rounding' then expected_rounding_amount
            when is_repeated then cast(0 as {{ exact_amount() }})
            when invoice_currency = agreement_currency then agreement_rated_amount
            when is_convertible then {{ convert_money(
                'agreement_rated_amount', 'agreement_units_per_base', 'invoice_units_per_base', 'line_rounding_decimals'
            ) }}
            else cast(0 as {{ exact_amount() }})
        end as rated_amount
    from agreement_amounts_rounded

)

select * from invoice_lines_matched
