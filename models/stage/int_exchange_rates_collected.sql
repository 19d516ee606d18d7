-- One row per exchange rate of every feed that settles (dbt_project.yml lists them), readable or refused.
{% for feed in var('feeds')['fx_rates'] %}
    select
        feed,
        base_currency,
        quote_currency,
        rate_source,
        refusal_reason,
        fx_rate,
        rate_date,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_fx_rates__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
