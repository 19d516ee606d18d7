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

{# The smallest multiple of a step that is not below the quantity. #}
{% macro ceil_to_multiple(quantity, step) -%}
    cast({{ count_of_steps(quantity, step) }} * {{ step }} as decimal(18, 3))
{%- endmacro %}

{# How many steps cover a quantity: exact, in millionths. #}
{% macro count_of_steps(quantity, step) -%}
    {%- set millionths = 'cast(' ~ quantity ~ ' * 1000000 as bigint)' -%}
    {%- set step_millionths = 'cast(' ~ step ~ ' * 1000000 as bigint)' -%}
    {{ integer_divide('(' ~ millionths ~ ' + ' ~ step_millionths ~ ' - 1)', step_millionths) }}
{%- endmacro %}

{# The raw quantity in whole units, where the contract rounds it before anything else. #}
{% macro whole_quantity(quantity, rounding) -%}
    case {{ rounding }}
        when 'up' then cast(ceil({{ quantity }}) as decimal(18, 6))
        when 'half_up' then cast(floor({{ quantity }} + 0.5) as decimal(18, 6))
        else {{ quantity }}
    end
{%- endmacro %}

{# Of a stretch of one price, from where the increments before it have reached: the minimum, if the call begins in it, ... #}
{% macro first_increment(stretch, reached) -%}
    case
        when {{ reached }} = 0 and {{ stretch }}.from_quantity = 0 then cast({{ stretch }}.minimum_quantity as decimal(18, 3))
        else cast(0 as decimal(18, 3))
    end
{%- endmacro %}

{# ... and the increments whose first second lies in it. None where they have passed it already, or have not come to it. #}
{% macro increments_of_stretch(stretch, reached) -%}
    {%- set begin = '(' ~ reached ~ ' + ' ~ first_increment(stretch, reached) ~ ')' -%}
    case
        when {{ reached }} < {{ stretch }}.from_quantity or {{ begin }} >= {{ stretch }}.until_quantity then cast(0 as bigint)
        else cast({{ count_of_steps('(' ~ stretch ~ '.until_quantity - ' ~ begin ~ ')', stretch ~ '.increment_quantity') }} as bigint)
    end
{%- endmacro %}
