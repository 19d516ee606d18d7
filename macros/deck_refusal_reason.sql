{# Why a deck row that was read cannot be used, or null. One rule for every feed, over the house's own column names.
   not_supported                what a layout may say of a price and the model cannot: reason -> condition that it is so
   has_networks_and_origins     does the layout have the columns mcc, mnc and origin_code? #}
{% macro deck_refusal_reason(currency_is_known='true', not_supported={}, has_networks_and_origins=false) -%}
    case
        when deck_kind not in ('full', 'amendment') then 'deck_kind_unknown'
        when effective_date is null then 'effective_date_unreadable'
        when received_at is null then 'received_at_unreadable'
        -- Only '' is every destination; a feed whose rows must have a code never says ''.
        when
            dial_code is null or length(dial_code) > 15 or (dial_code != '' and not {{ is_digits('dial_code') }})
            then 'dial_code_unreadable'
        {%- if has_networks_and_origins %}
        {{ network_refusal_reasons() }}
        -- Of which the price is, nobody can tell.
        when mcc is not null and dial_code != '' then 'dial_code_beside_network'
        when not ({{ is_digits('origin_code') }} and length(origin_code) <= 15) then 'origin_code_unreadable'
        {%- endif %}
        when is_closed then null
        {% for reason, condition in not_supported.items() -%}
        when {{ condition }} then '{{ reason }}'
        {% endfor -%}
        when rate_amount is null or rate_amount < 0 then 'rate_unreadable'
        -- A ninth decimal would be rounded away unseen.
        when try_cast(rate_text as decimal(38, 18)) != rate_amount then 'rate_has_more_than_8_decimals'
        when rate_currency is null then 'rate_currency_missing'
        when not ({{ currency_is_known }}) then 'rate_currency_unknown'
        when rate_per_quantity is null or rate_per_quantity <= 0 then 'rate_per_quantity_unreadable'
        when rate_unit is null or not ({{ is_counted_unit('rate_unit') }}) then 'rate_unit_unknown'
        when connect_fee_amount is null or connect_fee_amount < 0 then 'connect_fee_unreadable'
    end
{%- endmacro %}
