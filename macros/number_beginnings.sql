{# Beginnings of numbers, compared as integers. A number of E.164 has at most 15 digits. #}

{# The first 15 digits of a number, filled up with zeros; null where it has other signs. #}
{% macro padded_number(digits) -%} try_cast(rpad({{ digits }}, 15, '0') as bigint) {%- endmacro %}

{# The first digits of a padded number. #}
{% macro beginning_of_number(padded, length) -%}
    {{ integer_divide(padded, 'cast(1' ~ '0' * (15 - length) ~ ' as bigint)') }}
{%- endmacro %}

{# A code as a number, to be compared with a beginning; that of no digits is 0, as is every beginning of no digits. #}
{% macro number_of_code(digits) -%} coalesce(cast(nullif({{ digits }}, '') as bigint), 0) {%- endmacro %}
