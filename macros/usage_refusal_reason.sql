{# Why a usage record that was read cannot be understood, or null. One rule for every feed, over the house's own column names. A feed whose
   direction and carrier follow from a route says so: where there is no route, that is the reason. So does one whose amounts may be credits. #}
{% macro usage_refusal_reason(needs_route=false, holds_credits=false) -%}
    case
        when source_event_id is null then 'event_id_missing'
        when coalesce(service, '') not in ('voice', 'sms', 'email') then 'service_unknown'
        when direction not in ('outbound', 'inbound') then 'direction_unknown'
        when service != 'email' and not coalesce({{ is_digits('destination') }}, false) then 'destination_unreadable'
        when service != 'email' and destination like '0%' then 'destination_not_international'
        when started_at is null then 'started_at_unreadable'
        when received_at is null then 'received_at_unreadable'
        when quantity is null or quantity < 0 or quantity >= 1000000000000 then 'quantity_unreadable'
        when coalesce(quantity_unit, '') not in ('second', 'segment', 'message') then 'quantity_unit_unknown'
        when event_status is null or event_status not in (
            'answered', 'no_answer', 'busy', 'failed', 'cancelled',
            'delivered', 'undelivered', 'expired', 'rejected', 'unknown', 'pending'
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
