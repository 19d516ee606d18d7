{# What a quantity costs at one rate, with a connect fee for each event: rounded once, as a line is. #}
{% macro amount_at_one_rate(quantity, rate, per, event_count, connect_fee, decimals, mode) -%}
    {{ divide_and_round(
        '(' ~ multiply_exactly(quantity, rate) ~ ' + ' ~ multiply_exactly(event_count ~ ' * ' ~ per, connect_fee) ~ ')',
        per, decimals, mode
    ) }}
{%- endmacro %}
