{# Which usage a carrier counted, in words: clock, days of closing, statuses. #}
{% macro counting_name(relation) -%}
    'days of ' || {{ relation }}.time_zone
        || case when {{ relation }}.first_day_shift = 0 then '' else ', first day ' || cast({{ relation }}.first_day_shift as string) end
        || case when {{ relation }}.last_day_shift = 0 then '' else ', last day ' || cast({{ relation }}.last_day_shift as string) end
        || case when {{ relation }}.status_policy_name = 'as agreed' then '' else ', bills ' || {{ relation }}.status_policy_name end
{%- endmacro %}
