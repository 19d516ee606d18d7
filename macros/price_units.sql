{# Prices of partners as whole numbers: a quantity, an amount and a price per unit count 10^-8, so their products count 10^-16. What a price
   is to be divided by (priced_per_quantity, a conversion, the days of a month) stands beside it until the line is rounded: multiplied first,
   divided once. #}

{# A number of at most 8 decimals, of either sign, as whole 10^-8. #}
{% macro price_units(number) -%}
    cast(cast({{ number }} as decimal(38, 8)) * 100000000 as {{ wide_integer() }})
{%- endmacro %}

{# A product of two of them by `per`, rounded once: an exact amount. #}
{% macro price_rounded(units, per, decimals, mode) -%}
    {{ round_units(
        'abs(' ~ units ~ ')', '(cast(' ~ per ~ ' as ' ~ wide_integer() ~ ') * 10000)', decimals, mode, units
    ) }}
{%- endmacro %}

{# A factor of at most 6 decimals as a fraction of whole numbers, as small as it easily goes: [numerator, denominator]. #}
{% macro fraction_of(factor) -%}
    {%- set millionths = 'cast(cast(' ~ factor ~ ' as decimal(38, 6)) * 1000000 as ' ~ wide_integer() ~ ')' -%}
    {{ return([
        'case when ' ~ millionths ~ ' % 1000000 = 0 then ' ~ integer_divide(millionths, 1000000) ~ ' else ' ~ millionths ~ ' end',
        'case when ' ~ millionths ~ ' % 1000000 = 0 then 1 else 1000000 end',
    ]) }}
{%- endmacro %}
