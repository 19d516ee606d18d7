{# What a raw quantity becomes under a contract's increments (design of the two methods: docs/terms.md).
   residual        the minimum first, then increments laid end to end until they cover the quantity
   whole_duration  the minimum where it covers the quantity, else the whole quantity in increments
   Nothing used is nothing billed. #}
{% macro billed_quantity(quantity, minimum, increment, method) -%}
    case
        when {{ quantity }} <= 0 then cast(0 as decimal(18, 3))
        when {{ quantity }} <= {{ minimum }} then cast({{ minimum }} as decimal(18, 3))
        when {{ method }} = 'whole_duration' then {{ ceil_to_multiple(quantity, increment) }}
        else cast(
            {{ minimum }} + {{ ceil_to_multiple('(' ~ quantity ~ ' - ' ~ minimum ~ ')', increment) }} as decimal(18, 3)
        )
    end
{%- endmacro %}

{# The smallest multiple of a step (in thousandths, exact) that is not below the quantity. #}
{% macro ceil_to_multiple(quantity, step) -%}
    {%- set thousandths = 'cast(' ~ quantity ~ ' * 1000 as bigint)' -%}
    {%- set step_thousandths = 'cast(' ~ step ~ ' * 1000 as bigint)' -%}
    cast(
        {{ integer_divide('(' ~ thousandths ~ ' + ' ~ step_thousandths ~ ' - 1)', step_thousandths) }}
        * {{ step }} as decimal(18, 3)
    )
{%- endmacro %}
