{# What an event costs, times the quantity that its rate prices (rate_per_quantity), so that nothing is divided yet: the lesser of
   (connect fee + increments) and the code's maximum, plus the fee of the attempt. All operands are of one kind, amounts or units, and
   hold that factor already; maximum is null where there is none. #}
{% macro undivided_cost(usage, connect_fee, maximum, attempt_fee) -%}
    least({{ connect_fee }} + {{ usage }}, coalesce({{ maximum }}, {{ connect_fee }} + {{ usage }})) + {{ attempt_fee }}
{%- endmacro %}

{# A rate or a fee (8 decimals) as whole 10^-8. Times thousandths of a quantity it is 10^-11. #}
{% macro rate_units(rate) -%} {{ scaled_up(rate, 8) }} {%- endmacro %}

{# Can the cost of the event be reckoned in 64 bits? Nearly all can, in a tenth of the time of wide decimals, and digit for digit alike.
   Its parts then stay below 10^18 each: 10 a minute, 25 hours, fees of 100. #}
{% macro fits_64_bits(rate_units, thousandths, per, fees) -%}
    {{ rate_units }} <= 1000000000 and {{ thousandths }} <= 90000000 and {{ per }} <= 3600
    {%- for fee in fees %} and coalesce({{ fee }}, 0) <= 10000000000{% endfor %}
{%- endmacro %}
