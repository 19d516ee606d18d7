{# Quantities as whole numbers and back. Whole numbers of 64 bits are many times faster than decimals, and as exact. #}

{# A raw quantity, below 10^12 and with 6 decimals. #}
{% macro millionths(quantity) -%} cast(({{ quantity }}) * 1000000 as bigint) {%- endmacro %}
{% macro from_millionths(millionths) -%} cast(cast({{ millionths }} as decimal(18, 0)) * 0.000001 as decimal(18, 6)) {%- endmacro %}

{# A billed quantity, with 3 decimals. #}
{% macro thousandths(quantity) -%} cast(({{ quantity }}) * 1000 as bigint) {%- endmacro %}
{% macro from_thousandths(thousandths) -%}
    case
        when {{ thousandths }} < 1000000000000000
            then cast(cast({{ thousandths }} as decimal(15, 0)) * cast(0.001 as decimal(3, 3)) as decimal(18, 3))
        else cast(cast({{ thousandths }} as decimal(18, 0)) * 0.001 as decimal(18, 3))
    end
{%- endmacro %}
