{# The type of money and of products of money inside the warehouse. A rate has at most eight decimals and a quantity
   three, so their product is exact here; 26 digits stay before the point, and an overflow is an error, never a wrap. #}
{% macro exact_amount() -%} decimal(38, 12) {%- endmacro %}
