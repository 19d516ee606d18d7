{# Why an invoice line that was read cannot be used, or null. One rule for every feed, over the house's own column names. The
   columns *_written hold what the invoice says to the last decimal: more of them than we keep would be rounded away unseen. #}
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
        when service is null or direction is null or destination_name is null then 'destination_missing'
        when
            service_first_date is null
            or service_last_date is null
            or service_last_date < service_first_date
            then 'service_dates_unreadable'
        when not ({{ is_counted_unit('quantity_unit') }}) then 'quantity_unit_unknown'
        when invoiced_quantity is null or invoiced_event_count is null then 'quantity_unreadable'
        when event_count_written != invoiced_event_count then 'quantity_unreadable'
        when quantity_written != invoiced_quantity then 'quantity_has_more_than_3_decimals'
        when invoiced_rate_amount is null or coalesce(invoiced_rate_per_quantity, 0) <= 0
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
