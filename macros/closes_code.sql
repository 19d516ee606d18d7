{# Does a carrier's comment say that the code ends? Only these words do; any other comment, such as `decrease`, leaves the rate a rate. #}
{% macro closes_code(remark) -%}
    coalesce(
        lower(trim({{ remark }})) in ('closed', 'close', 'deleted', 'delete', 'removed', 'blocked', 'block'), false
    )
{%- endmacro %}

{# Does it say that the code was not there before? A row of an amendment that does not, changes a code that is. #}
{% macro opens_code(remark) -%}
    coalesce(lower(trim({{ remark }})) in ('new', 'new code', 'new destination', 'add', 'added', 'open', 'opened'), false)
{%- endmacro %}
