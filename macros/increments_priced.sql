{# What the increments of one price cost, times rate_per_quantity: exact, not yet divided.
   first, increment, increment_count   the quantity of the first increment and of each other one, and how many of these
   charged_quantity                    all of them less what an allowance covers
   decimals, mode                      the price of one increment is rounded before it is multiplied; null: it is not #}
{% macro increments_priced(rate, per, first, increment, increment_count, charged_quantity, decimals, mode) -%}
    case
        when {{ decimals }} is null then {{ multiply_exactly(charged_quantity, rate) }}
        else cast(
            {{ per }} * (
                {{ divide_and_round(multiply_exactly(first, rate), per, decimals, mode) }}
                + {{ increment_count }} * {{ divide_and_round(multiply_exactly(increment, rate), per, decimals, mode) }}
            ) as {{ exact_amount() }}
        )
    end
{%- endmacro %}
