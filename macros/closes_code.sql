{# Does a carrier's comment say that the code ends? Only these words do; any other comment, such as `decrease`, leaves the rate a rate. #}
{% macro closes_code(remark) -%}
    coalesce(
        lower(trim({{ remark }})) in ('closed', 'close', 'deleted', 'delete', 'removed', 'blocked', 'block'), false
    )
{%- endmacro %}
