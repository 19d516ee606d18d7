{# Text that lands, judged and read. #}

{# Is it one or more digits and nothing else? Null for null. #}
{% macro is_digits(text) -%} {{ adapter.dispatch('is_digits')(text) }} {%- endmacro %}
{% macro default__is_digits(text) -%} regexp_full_match({{ text }}, '[0-9]+') {%- endmacro %}
{% macro spark__is_digits(text) -%} ({{ text }} rlike '^[0-9]+$') {%- endmacro %}

{# A whole number; null where it is none. A cast alone would round 60.4 to 60 unseen. #}
{% macro parse_whole_number(text) -%}
    case when {{ is_digits('trim(' ~ text ~ ')') }} then try_cast(trim({{ text }}) as integer) end
{%- endmacro %}
