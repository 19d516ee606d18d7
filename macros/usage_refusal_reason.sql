{# Why a usage record that was read cannot be understood, or null. One rule for every feed, over the house's own column names. A feed whose
   direction and carrier follow from a route says so: where there is no route, that is the reason. So do one that states the network of the
   destination, and one whose amounts may be credits. #}
{% macro usage_refusal_reason(needs_route=false, states_network=false, holds_credits=false) -%}
    case
        when source_event_id is null then 'event_id_missing'
        when not ({{ is_service("coalesce(service, '')") }}) then 'service_unknown'
        when direction not in ('outbound', 'inbound') then 'direction_unknown'
        when {{ needs_number('service') }} and not coalesce({{ is_digits('destination') }}, false) then 'destination_unreadable'
        when {{ needs_number('service') }} and destination like '0%' then 'destination_not_international'
        {%- if states_network %}
        {{ network_refusal_reasons() }}
        {%- endif %}
        when started_at is null then 'started_at_unreadable'
        when received_at is null then 'received_at_unreadable'
        -- Months are over as soon as something was received after their end, so one such clock would end them all.
        when received_at > loaded_at + interval 1 year then 'received_in_the_future'
        when quantity is null or quantity < 0 or quantity >= 1000000000000 then 'quantity_unreadable'
        when not ({{ is_counted_unit("coalesce(quantity_unit, '')") }}) then 'quantity_unit_unknown'
        when event_status is null or event_status not in (
            'answered', 'no_answer', 'busy', 'failed', 'cancelled',
            'delivered', 'undelivered', 'expired', 'rejected', 'unknown', 'pending', 'succeeded'
        ) then 'status_unknown'
        {%- if not holds_credits %}
        when vendor_amount < 0 then 'money_sign_flipped'
        {%- endif %}
        {%- if needs_route %}
        when carrier_id is null then 'route_unknown'
        {%- endif %}
        when direction is null then 'direction_unknown'
    end
{%- endmacro %}

{# Branches of a `case`: why a stated network cannot be understood. An unreadable one is not left out, since another price would apply then. #}
{% macro network_refusal_reasons() -%}
    when not ({{ is_digits('mcc') }} and length(mcc) = 3) then 'mcc_unreadable'
        when not ({{ is_digits('mnc') }} and length(mnc) <= 3) then 'mnc_unreadable'
        when mnc is not null and mcc is null then 'mnc_without_mcc'
{%- endmacro %}

{# What is sold. A call or a message goes to a number; the others may name one, or the network that carried them. #}
{% macro is_service(name) -%} {{ name }} in ('voice', 'sms', 'mms', 'email', 'data', 'video', 'verification') {%- endmacro %}
{% macro needs_number(service) -%} {{ service }} in ('voice', 'sms', 'mms') {%- endmacro %}
