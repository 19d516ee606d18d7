{# Terms that hold for some time. `valid_from_date` and `valid_until_date` are columns of the row, the end excluded; `valid_until_text` is #}
{# what the file says of the end, null for one that is open. #}

{# Until when terms of the same key held that begin before this row. #}
{% macro previous_until(key) -%}
    max(valid_until_date) over (
            partition by {{ key }} order by valid_from_date nulls last, valid_until_date
            rows between unbounded preceding and 1 preceding
        )
{%- endmacro %}

{# From when the next terms of the same key hold. #}
{% macro next_from(key) -%}
    lead(valid_from_date) over (partition by {{ key }} order by valid_from_date nulls last, valid_until_date)
{%- endmacro %}

{# Other terms of the key hold at the same time, so neither can be applied. #}
{% macro overlaps_neighbours() -%}
    previous_until_date > valid_from_date or next_from_date < valid_until_date
{%- endmacro %}

{# The days cannot be read, or end before they begin. #}
{% macro is_validity_unreadable() -%}
    valid_from_date is null
        or valid_until_date <= valid_from_date
        or (valid_until_text is not null and try_cast(valid_until_text as date) is null)
{%- endmacro %}
