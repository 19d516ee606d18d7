{# Quantities as whole numbers and back. Whole numbers of 64 bits are many times faster than decimals, and as exact. A product of
   decimals of 18 digits overflows, so the wide one stands beside it for what is large. #}

{# A raw quantity, below 10^12 and with 6 decimals. #}
{% macro millionths(quantity) -%} {{ scaled_up(quantity, 6) }} {%- endmacro %}
{% macro from_millionths(millionths) -%} cast(cast({{ millionths }} as decimal(18, 0)) * 0.000001 as decimal(18, 6)) {%- endmacro %}

{# A billed quantity, with 3 decimals. #}
{% macro thousandths(quantity) -%} {{ scaled_up(quantity, 3) }} {%- endmacro %}
{% macro from_thousandths(thousandths) -%}
    case
        when {{ thousandths }} < 1000000000000000
            then cast(cast({{ thousandths }} as decimal(15, 0)) * cast(0.001 as decimal(3, 3)) as decimal(18, 3))
        else cast(cast({{ thousandths }} as decimal(38, 0)) * 0.001 as decimal(18, 3))
    end
{%- endmacro %}

{# A number that is not negative, in whole 10^-decimals. DuckDB keeps 18 digits for decimal(18, x) * 10^x and overflows above 10^(18 - 2x), so
   a large number takes the wide way; the small one is forty times faster. #}
{% macro scaled_up(number, decimals) -%}
    {%- set factor = '1' ~ '0' * decimals -%}
    case
        when {{ number }} < {{ '1' ~ '0' * (18 - 2 * decimals) }} then cast(({{ number }}) * {{ factor }} as bigint)
        else cast(cast({{ number }} as decimal(38, {{ decimals }})) * {{ factor }} as bigint)
    end
{%- endmacro %}
