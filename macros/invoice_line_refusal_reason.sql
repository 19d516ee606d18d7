{# Why an invoice line that was read cannot be used, or null. One rule for every feed, over the house's own column names. The
   columns *_written hold what the invoice says to the last decimal: more of them than we keep would be rounded away unseen; the
   columns *_text what it says at all: a measure that a line does not state is no error, one that cannot be read is. #}
{% macro invoice_line_refusal_reason(currency_is_known='true') -%}
    case
        when line_type not in ('usage', 'fee', 'tax') then 'line_type_unknown'
        when number_position > 1 then 'line_number_repeated'
        when invoice_version is null or line_number is null then 'number_unreadable'
        when invoice_date is null then 'invoice_date_unreadable'
        when billing_period_start_date is null then 'billing_period_unreadable'
        when invoiced_amount is null then 'amount_unreadable'
        -- Without its total nobody would see that an invoice does not foot.
        when invoice_total_amount is null and invoice_total_text is not null then 'invoice_total_unreadable'
        when amount_written != invoiced_amount or total_written != invoice_total_amount
            then 'amount_has_more_than_6_decimals'
        when invoice_currency is null or not ({{ currency_is_known }}) then 'currency_unknown'
        when line_type != 'usage' then null
        -- A line may be about all that a carrier carried; one that names a place must say of which service.
        when service is null and (direction is not null or destination_name is not null or dial_code is not null)
            then 'service_missing'
        when direction is null and (destination_name is not null or dial_code is not null)
            then 'direction_missing'
        when dial_code is not null and (not {{ is_digits('dial_code') }} or length(dial_code) > 15)
            then 'dial_code_unreadable'
        when
            service_first_date is null
            or service_last_date is null
            or service_last_date < service_first_date
            then 'service_dates_unreadable'
        when not ({{ is_counted_unit('quantity_unit') }}) then 'quantity_unit_unknown'
        when
            (quantity_text is not null and invoiced_quantity is null)
            or (event_count_text is not null and invoiced_event_count is null)
            then 'quantity_unreadable'
        when event_count_written != invoiced_event_count then 'quantity_unreadable'
        when quantity_written != invoiced_quantity then 'quantity_has_more_than_3_decimals'
        when
            rate_text is not null
            and (invoiced_rate_amount is null or coalesce(invoiced_rate_per_quantity, 0) <= 0)
            then 'rate_unreadable'
        when rate_written != invoiced_rate_amount then 'rate_has_more_than_8_decimals'
        -- One credit line among others is ordinary. An invoice whose usage is nothing but credit has its sign
        -- flipped, or is a credit note.
        when
            invoiced_amount < 0
            and max(case when line_type = 'usage' then invoiced_amount end) over (
                partition by file_id, carrier_id, invoice_number, invoice_version
            ) <= 0
            then 'money_sign_flipped'
    end
{%- endmacro %}
