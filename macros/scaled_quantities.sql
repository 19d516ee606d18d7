{# Quantities as whole numbers and back. Whole numbers of 64 bits are many times faster than decimals, and as exact. A product of
   decimals of 18 digits overflows, so the wide one stands beside it for what is large. #}

{# A raw quantity, below 10^12 and with 6 decimals. #}
{% macro millionths(quantity) -%}
    case
        when abs({{ quantity }}) < 100000 then cast(({{ quantity }}) * 1000000 as bigint)
        else cast(cast({{ quantity }} as decimal(38, 6)) * 1000000 as bigint)
    end
{%- endmacro %}
{% macro from_millionths(millionths) -%}
    cast(cast({{ millionths }} as decimal(38, 0)) * 0.000001 as decimal(18, 6))
{%- endmacro %}

{# A billed quantity, with 3 decimals. #}
{% macro thousandths(quantity) -%} cast(cast({{ quantity }} as decimal(38, 3)) * 1000 as bigint) {%- endmacro %}
{% macro from_thousandths(thousandths) -%}
    case
        when {{ thousandths }} < 1000000000000000
            then cast(cast({{ thousandths }} as decimal(15, 0)) * cast(0.001 as decimal(3, 3)) as decimal(18, 3))
        else cast(cast({{ thousandths }} as decimal(38, 0)) * 0.001 as decimal(18, 3))
    end
{%- endmacro %}
