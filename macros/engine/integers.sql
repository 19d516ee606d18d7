{# Integers wide enough for scaled money, and their division. #}
{% macro wide_integer() -%} {{ adapter.dispatch('wide_integer')() }} {%- endmacro %}
{% macro default__wide_integer() -%} hugeint {%- endmacro %}
{% macro spark__wide_integer() -%} decimal(38, 0) {%- endmacro %}

{# Whole quotient of two whole numbers that are not negative. #}
{% macro integer_divide(dividend, divisor) -%} {{ adapter.dispatch('integer_divide')(dividend, divisor) }} {%- endmacro %}
{% macro default__integer_divide(dividend, divisor) -%} ({{ dividend }} // {{ divisor }}) {%- endmacro %}
{% macro spark__integer_divide(dividend, divisor) -%} floor({{ dividend }} / {{ divisor }}) {%- endmacro %}

{# 10^exponent as a whole number, exponent 0 to 18: pow() would pass through a float. #}
{% macro power_of_ten(exponent, type=none) -%}
    case {{ exponent }}
        {%- for n in range(19) %} when {{ n }} then cast(1{{ '0' * n }} as {{ type or wide_integer() }}){% endfor %} end
{%- endmacro %}

{# Least common multiple of a group's positive whole numbers, as an integer. #}
{% macro least_common_multiple(number) -%} {{ adapter.dispatch('least_common_multiple')(number) }} {%- endmacro %}
{% macro default__least_common_multiple(number) -%}
    cast(list_reduce(list(distinct cast({{ number }} as bigint)), lambda one, other: lcm(one, other)) as integer)
{%- endmacro %}
{% macro spark__least_common_multiple(number) -%}
    cast(aggregate(collect_set({{ number }}), 1L, (one, other) ->
        case when one % other = 0 then one when other % one = 0 then other else one * other end) as int)
{%- endmacro %}

{# A 64-bit number made from the values of a row: rows that differ in one of them have another, but for one chance in 10^19. The numbers are
   those of a version of the engine; with another version everything is made anew (orchestration/transform.py). #}
{% macro number_of_values(columns) -%} {{ adapter.dispatch('number_of_values')(columns) }} {%- endmacro %}
{% macro default__number_of_values(columns) -%} hash({{ columns | join(', ') }}) {%- endmacro %}
{% macro spark__number_of_values(columns) -%} xxhash64({{ columns | join(', ') }}) {%- endmacro %}

{# The same, to be summed: sums of it tell whether two tables hold the same rows, for a fraction of what a join of all rows costs. #}
{% macro fingerprint(columns) -%} cast({{ number_of_values(columns) }} as {{ wide_integer() }}) {%- endmacro %}

{# Two values as one, to be compared by the first and, where that is equal, by the second. #}
{% macro in_turn(first, second) -%} {{ adapter.dispatch('in_turn')(first, second) }} {%- endmacro %}
{% macro default__in_turn(first, second) -%} row({{ first }}, {{ second }}) {%- endmacro %}
{% macro spark__in_turn(first, second) -%} struct({{ first }}, {{ second }}) {%- endmacro %}
