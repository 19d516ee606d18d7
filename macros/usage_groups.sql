{# The keys of a usage group: numbers made from what its events have in common. Groups carry them in place of a dozen texts, which stand once in
   int_ratings_grouped and int_charges_grouped; that these have each number once proves that no two kinds of events share one. #}

{# What an event is and what it costs us. #}
{% macro rating_group_key() -%}
    {{ number_of_values([
        'service', 'direction', 'carrier_id', 'agreement_id', 'destination_id', 'destination_name', 'country_code', 'quantity_unit',
        'billed_unit', 'rating_status', 'unrated_reason', 'rated_cost_currency', 'rate_amount', 'rate_per_quantity', 'connect_fee_amount',
        'is_rounded_per_event'
    ]) }}
{%- endmacro %}

{# Who is charged for it, and as far as that is not told by what the event is, who shares in it: which account, if it is told apart from the
   others of its partner; the participants that are named for single events; the agreement, place and day of what is refunded. #}
{% macro charge_group_key() -%}
    {{ number_of_values([
        'partner_id', 'partner_agreement_id', 'plan_id', 'charge_status', 'uncharged_reason', 'share_account_id', 'stated_participants',
        'refunded_agreement_id', 'refunded_direction', 'refunded_country_code', 'refunded_carrier_id', 'refunded_date'
    ]) }}
{%- endmacro %}

{# A group with its sums as one number, to be summed over a day. #}
{% macro usage_group_fingerprint() -%}
    {{ fingerprint([
        'rating_group_id', 'charge_group_id', 'usage_date', 'carrier_local_date', 'partner_local_date', 'event_count', 'quantity',
        'billed_quantity', 'charged_quantity', 'undivided_cost_amount', 'rated_cost_amount'
    ]) }}
{%- endmacro %}

{# The usage groups of events, with their sums: a select. #}
{% macro sum_of_groups(events) -%}
    select
        rating_group_id,
        charge_group_id,
        cast(started_at as date) as usage_date,
        carrier_local_date,
        partner_local_date,
        count(*) as event_count,
        cast(sum(quantity) as decimal(38, 6)) as quantity,
        cast(coalesce(sum(billed_quantity), 0) as decimal(18, 3)) as billed_quantity,
        cast(sum(charged_quantity) as decimal(38, 6)) as charged_quantity,
        cast(coalesce(sum(undivided_cost_amount), 0) as {{ exact_amount() }}) as undivided_cost_amount,
        cast(coalesce(sum(rated_cost_amount), 0) as {{ exact_amount() }}) as rated_cost_amount
    from {{ events }}
    group by
        rating_group_id, charge_group_id, cast(started_at as date), carrier_local_date, partner_local_date
{%- endmacro %}
