{# Are two values unlike, where null is a value like any other? #}
{% macro differs(one, other) -%}
    coalesce({{ one }} != {{ other }}, {{ one }} is not null or {{ other }} is not null)
{%- endmacro %}
