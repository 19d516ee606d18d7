{# Days as people write them. #}

{# D/M/Y text (05/06/2014) as a date; null where it is none. With two digits of a year it is none: 14 would be the year 14. #}
{% macro parse_day_month_year(text) -%}
    case
        when trim({{ text }}) like '%/____'
            then cast({{ parse_wall_clock(text, '%d/%m/%Y', "'UTC'") }} as date)
    end
{%- endmacro %}

{# A day with the English name of its month (5 June 2014) as a date; null where it is none. #}
{% macro parse_day_month_name_year(text) -%}
    cast({{ parse_wall_clock(text, '%d %B %Y', "'UTC'") }} as date)
{%- endmacro %}
