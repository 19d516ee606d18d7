{# When a run knows what it knows: when the newest file had been loaded or, where its day is later, at the beginning of that day, since terms, clocks and a replay teach a run something without a file. #}
{% macro known_at(loaded_at) -%}
    greatest(max({{ loaded_at }}), cast({{ today() }} as timestamp))
{%- endmacro %}
