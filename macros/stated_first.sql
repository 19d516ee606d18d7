{# Terms of an order: rows that state the first column before those that do not, then the second column likewise. #}
{% macro stated_first(columns) -%}
    {% for column in columns %}case when {{ column }} is null then 1 else 0 end{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}
