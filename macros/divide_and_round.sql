{# The only division of money and, with a denominator of 1, the only rounding (round_money). Exact: both sides become
   integers, the quotient is rounded once from its true remainder, never from an already rounded decimal.
   numerator    any exact amount: costs that are not divided yet are a billion times the money where a gigabyte is priced
   denominator  positive whole number
   decimals     -6 to 12: a number or a column
   mode         half_up (ties away from zero), half_even, up (away from zero), down (toward zero): a string or a column
   returns      exact amount #}
{% macro divide_and_round(numerator, denominator, decimals, mode) -%}
    {{ round_units(
        undivided_units(numerator), 'cast(' ~ denominator ~ ' as ' ~ wide_integer() ~ ')', decimals, mode, numerator
    ) }}
{%- endmacro %}

{# An amount below 10^14 at the decimals and the mode of its agreement; a larger one is an error, never a wrapped or rounded one. #}
{% macro round_money(amount, decimals, mode) -%}
    {{ round_units(to_units(amount), 'cast(1 as ' ~ wide_integer() ~ ')', decimals, mode, amount) }}
{%- endmacro %}

{# An amount times by / per, rounded once. `by` and `per` are alike (two quantities, two rates) with at most `factor_decimals`
   decimals, the amount has at most `amount_decimals`. Amount times `by` stays below 10^(38 - amount_decimals - factor_decimals), or it is
   an error: 10^18 if nothing is said. Amounts above 10^14 are `undivided`. #}
{% macro scale_money(amount, by, per, decimals, mode="'half_up'", factor_decimals=8, amount_decimals=12, undivided=false) -%}
    {{ round_units(
        '(' ~ (undivided_units(amount) if undivided else to_units(amount, amount_decimals)) ~ ' * ' ~ factor_units(by, factor_decimals) ~ ')',
        factor_units(per, factor_decimals), decimals, mode, amount, amount_decimals
    ) }}
{%- endmacro %}

{# The part of an amount that `part` is of `whole`: what was invoiced is below 10^12 and has at most 6 decimals, so nothing overflows. #}
{% macro part_of_money(amount, part, whole) -%}
    {{ scale_money(amount, part, whole, 6, factor_decimals=6, amount_decimals=6) }}
{%- endmacro %}

{# An amount in another currency. Both rates are units of the currency for one unit of the same base. #}
{% macro convert_money(amount, from_rate, to_rate, decimals) -%}
    {{ scale_money(amount, to_rate, from_rate, decimals) }}
{%- endmacro %}

{# Working parts. Units are whole 10^-digits of the currency, without the sign; `signed` gives the sign back. #}
{% macro to_units(amount, digits=12) -%}
    cast(abs(cast({{ amount }} as {{ exact_amount() }})) * 1{{ '0' * digits }} as {{ wide_integer() }})
{%- endmacro %}

{# The same of any amount. A product of decimals ends at 10^14, so a larger amount takes the wide way, in twice the time. #}
{% macro undivided_units(amount) -%}
    {%- set exact = 'cast(' ~ amount ~ ' as ' ~ exact_amount() ~ ')' -%}
    case
        when {{ exact }} between -99999999999999 and 99999999999999 then {{ to_units(amount) }}
        else cast(floor(abs({{ exact }})) as {{ wide_integer() }}) * 1000000000000
            + cast((abs({{ exact }}) % 1) * 1000000000000 as {{ wide_integer() }})
    end
{%- endmacro %}

{% macro factor_units(factor, factor_decimals) -%}
    cast(cast({{ factor }} as decimal(38, {{ factor_decimals }})) * 1{{ '0' * factor_decimals }} as {{ wide_integer() }})
{%- endmacro %}

{% macro round_units(dividend, divisor, decimals, mode, signed, digits=12) -%}
    {{ from_units(
        'case when ' ~ signed ~ ' < 0 then -1 else 1 end * '
        ~ units_rounded(dividend, divisor, power_of_ten(digits ~ ' - (' ~ decimals ~ ')'), mode), digits
    ) }}
{%- endmacro %}

{# Whole units as an exact amount. #}
{% macro from_units(units, digits=12) -%}
    cast({{ units }} as decimal(38, 0)) * cast(0.{{ '0' * (digits - 1) }}1 as {{ exact_amount() }})
{%- endmacro %}

{# The quotient of two whole numbers that are not negative, rounded to a multiple of `unit` (10^12 less the decimals). Their type must hold
   twice the divisor times the unit. #}
{% macro units_rounded(dividend, divisor, unit, mode) -%}
    {%- set step = '(' ~ divisor ~ ' * ' ~ unit ~ ')' -%}
    {%- set quotient = integer_divide(dividend, step) -%}
    {%- set remainder = '(' ~ dividend ~ ' % ' ~ step ~ ')' -%}
    {{ unit }}
        * (
            {{ quotient }}
            + case {{ mode }}
                when 'half_up' then case when 2 * {{ remainder }} >= {{ step }} then 1 else 0 end
                when 'half_even' then case
                    when 2 * {{ remainder }} > {{ step }} then 1
                    when 2 * {{ remainder }} = {{ step }} then {{ quotient }} % 2
                    else 0
                end
                when 'up' then case when {{ remainder }} > 0 then 1 else 0 end
                when 'down' then 0
            end
        )
{%- endmacro %}
