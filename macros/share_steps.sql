{# The steps of a cascade of share rules, in their order. #}
{% macro share_steps() -%} {{ return([1, 2, 3, 4, 5]) }} {%- endmacro %}

{# So many millionths of millionths make 1. #}
{% macro wide_integer_of_millionths(exponent) -%} cast(1{{ '000000' * exponent }} as {{ wide_integer() }}) {%- endmacro %}

{# What is left of an amount, never more than nothing beyond it: of a credit nothing positive, of a charge nothing negative. #}
{% macro not_beyond_zero(left, whole) -%}
    case when {{ whole }} < 0 then least({{ left }}, 0) else greatest({{ left }}, 0) end
{%- endmacro %}
