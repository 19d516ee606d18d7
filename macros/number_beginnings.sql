{# What of an event decides its code, compared as integers: the beginning of its number, its network, and the beginning of the caller's
   number. A number of E.164 has at most 15 digits. #}

{# The first 15 digits of a number, filled up with zeros; null where it has other signs. #}
{% macro padded_number(digits) -%} try_cast(rpad({{ digits }}, 15, '0') as bigint) {%- endmacro %}

{# The first digits of a padded number. #}
{% macro beginning_of_number(padded, length) -%}
    {{ integer_divide(padded, 'cast(1' ~ '0' * (15 - length) ~ ' as bigint)') }}
{%- endmacro %}

{# A code as a number, to be compared with a beginning; that of no digits is 0, as is every beginning of no digits. #}
{% macro number_of_code(digits) -%} coalesce(cast(nullif({{ digits }}, '') as bigint), 0) {%- endmacro %}

{# A network as a number, 0 where none is stated; that of a country has no network code. Both are taken as written, behind a 1 that keeps
   their zeros: 01, 001 and 1 are three networks. #}
{% macro network_number(mcc, mnc) -%}
    coalesce(cast('1' || {{ mcc }} as integer) * 10000 + coalesce(cast('1' || {{ mnc }} as integer), 0), 0)
{%- endmacro %}
{% macro country_of_network(network_number) -%} {{ integer_divide(network_number, 10000) }} * 10000 {%- endmacro %}

{# What tells a code of a deck from its other codes, as people read it: 4917, network 262 01, 4917 from 49; empty for that of every number. #}
{% macro name_of_code(dial_code, mcc, mnc, origin_code) -%}
    {{ dial_code }}
        || case when {{ mcc }} is null then '' else 'network ' || {{ mcc }} || coalesce(' ' || {{ mnc }}, '') end
        || coalesce(' from ' || {{ origin_code }}, '')
{%- endmacro %}

{# The level at which a code of a deck looks at an event: 17 is its network, 16 the country of its network, 15 to 0 are so many digits of
   its number. The highest level at which something is found decides. #}
{% macro code_levels() -%} {{ return(range(17, -1, -1)) }} {%- endmacro %}
{% macro level_of_code(mcc, mnc, dial_code_length) -%}
    case when {{ mnc }} is not null then 17 when {{ mcc }} is not null then 16 else {{ dial_code_length }} end
{%- endmacro %}
{% macro number_of_code_at_level(digits, mcc, mnc) -%}
    case when {{ mcc }} is not null then {{ network_number(mcc, mnc) }} else {{ number_of_code(digits) }} end
{%- endmacro %}
{% macro number_at_level(padded, network_number, level) -%}
    {%- if level == 17 -%} {{ network_number }}
    {%- elif level == 16 -%} {{ country_of_network(network_number) }}
    {%- else -%} {{ beginning_of_number(padded, level) }}
    {%- endif -%}
{%- endmacro %}

{# The beginning of a caller's number with the count of its digits, as one number, so that the beginnings which begin with a code are all
   those from the code's own number to the last one. #}
{% macro origin_number(digits) -%} cast(rpad({{ digits }}, 15, '0') as bigint) * 16 + length({{ digits }}) {%- endmacro %}
{% macro last_origin_number(digits) -%} cast(rpad({{ digits }}, 15, '9') as bigint) * 16 + 15 {%- endmacro %}

{# Is the code, at its level, one for the destination of the number? #}
{% macro is_for_number(code, number, level) -%}
    {{ number }}.deck_number = {{ code }}.deck_number
                and {{ code }}.code_level = {{ level }}
                and {{ number_at_level(number ~ '.padded_number', number ~ '.network_number', level) }} = {{ code }}.code_number
                and {{ number }}.beginning_digit_count >= {{ code }}.dial_code_length
{%- endmacro %}
