{# How a call ended that nobody answered, by its Q.850 cause; a caller who hangs up before the answer clears normally. #}
{% macro unanswered_status(cause) -%}
    case {{ cause }}
        when 16 then 'cancelled'
        when 17 then 'busy'
        when 18 then 'no_answer'
        when 19 then 'no_answer'
        else 'failed'
    end
{%- endmacro %}
