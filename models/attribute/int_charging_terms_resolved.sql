-- One row per term that says to whom an event is charged and by which plan, as text: whatever changes in it,
-- all usage groups are made again.
{% set models = [
    'stg_terms__accounts', 'stg_terms__plans', 'stg_terms__plan_tiers', 'int_agreements_resolved',
] %}

{% for model in models %}
    select
        '{{ model }}' as term_model,
        {{ row_text(ref(model)) }} as term_text
    from {{ ref(model) }}
    {{ 'union' if not loop.last }}
{% endfor %}
