{# In which units is usage counted? Each multiple is read as so many of the unit that is counted, so that a price per megabyte meets usage in
   bytes without a rounding: 1 megabyte is 1,000,000 bytes, 1 mebibyte 1,048,576. #}
{% macro is_counted_unit(unit) -%} {{ unit }} in ('second', 'segment', 'message', 'byte', 'participant_second', 'verification') {%- endmacro %}
{% macro multiples_of_units() -%}
    {{ return({
        'minute': (60, 'second'),
        'participant_minute': (60, 'participant_second'),
        'kilobyte': (1000, 'byte'),
        'megabyte': (1000000, 'byte'),
        'gigabyte': (1000000000, 'byte'),
        'kibibyte': (1024, 'byte'),
        'mebibyte': (1048576, 'byte'),
        'gibibyte': (1073741824, 'byte'),
    }) }}
{%- endmacro %}

{# The unit that is counted where `unit` is written. #}
{% macro counted_unit(unit) -%}
    case {{ unit }}
        {% for multiple, (_, counted) in multiples_of_units().items() -%}
        when '{{ multiple }}' then '{{ counted }}'
        {% endfor -%}
        else {{ unit }}
    end
{%- endmacro %}

{# How many of the counted unit one `unit` is. #}
{% macro counted_per_unit(unit) -%}
    case {{ unit }}
        {% for multiple, (count, _) in multiples_of_units().items() -%}
        when '{{ multiple }}' then {{ count }}
        {% endfor -%}
        else 1
    end
{%- endmacro %}

{% macro is_multiple_of_unit(unit) -%} {{ unit }} in ('{{ multiples_of_units() | join("', '") }}') {%- endmacro %}

{# A quantity in `unit` as one of the counted unit, of the given type; null where it is none or too large. `value` is the quantity as that
   type, which is kept where nothing is to be multiplied, and `exact` the same with all its decimals. #}
{% macro counted_quantity(value, unit, exact, type) -%}
    case
        when {{ is_multiple_of_unit(unit) }}
            then case
                when abs({{ exact }}) < 1000000000000
                    then try_cast({{ exact }} * {{ counted_per_unit(unit) }} as {{ type }})
            end
        else {{ value }}
    end
{%- endmacro %}
