{# Who takes part in a transaction beside the seller. #}

{# Can a role be named so? Roles and partners stand together in the name of a transaction group. #}
{% macro is_role(name) -%} {{ name }} not like '%:%' and {{ name }} not like '%=%' and {{ name }} not like '%,%' {%- endmacro %}

{# A participant as one text. #}
{% macro participant_named(role, partner) -%} {{ role }} || '=' || {{ partner }} {%- endmacro %}

{# What a marked event says, as one number: another number, other groups. #}
{% macro transaction_mark() -%}
    {{ fingerprint([
        'refunded_event_id', 'refunded_account_id', 'refunded_agreement_id', 'refunded_direction', 'refunded_country_code',
        'refunded_carrier_id', 'stated_participants', 'refusal_reason', 'refunded_date'
    ]) }}
{%- endmacro %}

{# All that rules of participation may look at, as one number: of the day only since when the rules are as they are on it. A refund is looked
   at as the event that it refunds. #}
{% macro participation_context() -%}
    {{ number_of_values([
        'partner_id', 'share_account_id', 'stated_participants', 'service', 'direction', 'country_code', 'carrier_id',
        'rules_since_date'
    ]) }}
{%- endmacro %}
