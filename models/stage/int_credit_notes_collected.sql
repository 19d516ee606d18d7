-- One row per row of a credit note of every feed that settles (dbt_project.yml lists them), readable or
-- refused.
{% for feed in var('feeds')['credit_notes'] %}
    select
        feed,
        carrier_id,
        credit_note_number,
        invoice_number,
        cause,
        credit_currency,
        refusal_reason,
        credit_amount,
        issue_date,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_credit_notes__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
