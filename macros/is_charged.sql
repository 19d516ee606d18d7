{# Does a contract charge an event of this status? `charged_on` is the contract's word for when an event is due. #}
{% macro is_charged(status, charged_on) -%}
    case {{ charged_on }}
        when 'answered' then {{ status }} = 'answered'
        when 'delivered' then {{ status }} = 'delivered'
        when 'succeeded' then {{ status }} = 'succeeded'
        when 'submitted' then {{ status }} not in ('rejected', 'cancelled')
    end
{%- endmacro %}
