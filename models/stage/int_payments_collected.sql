-- One row per payment of every feed that settles (dbt_project.yml lists them), readable or refused.
{% for feed in var('feeds')['payments'] %}
    select
        feed,
        party_id,
        payment_reference,
        direction,
        settles,
        invoice_number,
        payment_currency,
        refusal_reason,
        paid_amount,
        value_date,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_payments__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
