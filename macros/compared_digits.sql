{# Numbers of two sides that write them otherwise. #}

{# A number without the signs that people put between digits; prefixes and masked digits stay. Null where nothing is left. #}
{% macro number_shown(text) -%} nullif(lower(translate(trim({{ text }}), '+-()./ ', '')), '') {%- endmacro %}

{# What of a number is compared: the last seven digits before those that are hidden on one side, so that no prefix matters. #}
{% macro compared_digits(number, hidden) -%}
    right(substring({{ number }}, 1, greatest(length({{ number }}) - {{ hidden }}, 0)), 7)
{%- endmacro %}
