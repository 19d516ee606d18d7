{# Why a carrier's call record that was read cannot be used, or null. One rule for every feed, over the house's own column names. #}
{% macro cdr_refusal_reason(currency_is_known='true') -%}
    case
        when not ({{ is_service("coalesce(service, '')") }}) then 'service_unknown'
        when coalesce(direction, '') not in ('outbound', 'inbound') then 'direction_unknown'
        when call_id is null and called_number is null then 'call_unidentified'
        when started_at is null then 'started_at_unreadable'
        when duration_text is not null and coalesce(duration_seconds, -1) < 0 then 'duration_unreadable'
        when carrier_quantity is null or carrier_quantity < 0 then 'quantity_unreadable'
        when not ({{ is_counted_unit("coalesce(quantity_unit, '')") }}) then 'quantity_unit_unknown'
        when amount_text is not null and carrier_amount is null then 'amount_unreadable'
        -- A ninth decimal would be rounded away unseen.
        when amount_written != carrier_amount then 'amount_has_more_than_8_decimals'
        when carrier_amount < 0 then 'money_sign_flipped'
        when carrier_amount is not null and not coalesce({{ currency_is_known }}, false) then 'currency_unknown'
    end
{%- endmacro %}
