{# Does a row of the terms' routes say which carrier a leg belongs to? Holds for the route that the switch names, on the leg's day in UTC,
   and the leg's direction, where both know one.
   routes      alias of stg_terms__routes, of one feed and without refused rows
   direction   SQL; null where the switch does not say which way the call went #}
{% macro route_applies(routes, route, started_at, direction='null') -%}
    {{ routes }}.route = {{ route }}
    and cast({{ started_at }} as date) >= {{ routes }}.valid_from_date
    and cast({{ started_at }} as date) < {{ routes }}.valid_until_date
    and coalesce({{ routes }}.direction, {{ direction }}, '') = coalesce({{ direction }}, {{ routes }}.direction, '')
{%- endmacro %}
