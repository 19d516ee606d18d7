-- One row per step of a dispute of every feed that settles (dbt_project.yml lists them), readable or refused.
{% for feed in var('feeds')['dispute_events'] %}
    select
        feed,
        dispute_id,
        event_type,
        event_date,
        event_currency,
        reference,
        note,
        refusal_reason,
        event_amount,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_dispute_events__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
