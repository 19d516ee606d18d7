{# What tells the lines of a plan and month apart, from usage or events of that name: one line of all of it, or one of each value. #}
{% macro line_key_of(aggregate_by, usage) -%}
    case {{ aggregate_by }}
        when 'country' then coalesce({{ usage }}.country_code, '')
        when 'destination' then coalesce({{ usage }}.destination_name, '')
        when 'day' then cast({{ usage }}.partner_local_date as string)
        else ''
    end
{%- endmacro %}
