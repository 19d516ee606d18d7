-- One row per term that says to whom an event is charged and by which plan, as text: whatever changes in it,
-- all usage groups are made again.
{% set models = {
    'stg_terms__accounts': 'true',
    'stg_terms__regions': 'true',
    'int_plans_resolved': 'true',
    'int_agreements_resolved': "party_role = 'partner'",
    'stg_terms__participation_rules': 'account_id is not null',
} %}

{% for model, condition in models.items() %}
    select
        '{{ model }}' as term_model,
        {{ row_text(ref(model)) }} as term_text
    from {{ ref(model) }}
    where {{ condition }}
    {{ 'union' if not loop.last }}
{% endfor %}
