-- One row per event and participant of every feed that settles (dbt_project.yml lists them), readable or
-- refused.
{% for feed in var('feeds')['event_participants'] %}
    select
        feed,
        event_id,
        participant_partner_id,
        participant_role,
        refusal_reason,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_event_participants__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
