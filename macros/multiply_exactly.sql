{# The only product of a quantity (at most 4 decimals) and a rate (at most 8). Both factors are widened first: DuckDB keeps
   18 digits for decimal(18, x) * decimal(18, y) and overflows. #}
{% macro multiply_exactly(quantity, rate) -%}
    cast(cast({{ quantity }} as decimal(38, 4)) * cast({{ rate }} as decimal(38, 8)) as {{ exact_amount() }})
{%- endmacro %}
