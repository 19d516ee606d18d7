{# What a raw quantity becomes under a contract's increments (design of the two methods: docs/terms.md).
   residual        the minimum first, then increments laid end to end until they cover the quantity
   whole_duration  the minimum where it covers the quantity, else the whole quantity in increments
   Nothing used is nothing billed. #}
{% macro billed_quantity(quantity, minimum, increment, method) -%}
    {{ from_thousandths(billed_thousandths(
        millionths(quantity), thousandths(minimum), thousandths(increment), method
    )) }}
{%- endmacro %}

{# The same in whole numbers, which is where it is reckoned: a raw quantity has 6 decimals, what is billed has 3. #}
{% macro billed_thousandths(millionths, minimum_thousandths, increment_thousandths, method) -%}
    {%- set minimum_millionths = '(' ~ minimum_thousandths ~ ' * 1000)' -%}
    {%- set increment_millionths = '(' ~ increment_thousandths ~ ' * 1000)' -%}
    case
        when {{ millionths }} <= 0 then 0
        when {{ millionths }} <= {{ minimum_millionths }} then {{ minimum_thousandths }}
        when {{ method }} = 'whole_duration'
            then {{ count_of(increment_millionths, millionths) }} * {{ increment_thousandths }}
        else {{ minimum_thousandths }}
            + {{ count_of(increment_millionths, millionths ~ ' - ' ~ minimum_millionths) }} * {{ increment_thousandths }}
    end
{%- endmacro %}

{# How many steps cover a quantity: exact, in millionths. #}
{% macro count_of_steps(quantity, step) -%}
    {{ count_of(millionths(step), millionths(quantity)) }}
{%- endmacro %}

{# How many of a whole number cover another one. #}
{% macro count_of(step, covered) -%}
    {{ integer_divide('(' ~ covered ~ ' + ' ~ step ~ ' - 1)', step) }}
{%- endmacro %}

{# The raw quantity in whole units, where the contract rounds it before anything else; in millionths again. #}
{% macro whole_millionths(millionths, rounding) -%}
    case {{ rounding }}
        when 'up' then {{ count_of(1000000, millionths) }} * 1000000
        when 'half_up' then {{ integer_divide('(' ~ millionths ~ ' + 500000)', 1000000) }} * 1000000
        else {{ millionths }}
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
