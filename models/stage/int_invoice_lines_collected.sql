-- One row per invoice line of every feed that settles (dbt_project.yml lists them), readable or refused.
{% for feed in var('feeds')['carrier_invoices'] %}
    select
        feed,
        carrier_id,
        invoice_number,
        invoice_version,
        line_number,
        line_type,
        service,
        direction,
        destination_name,
        dial_code,
        line_description,
        fee_name,
        invoice_currency,
        quantity_unit,
        refusal_reason,
        invoiced_event_count,
        invoiced_quantity,
        invoiced_rate_amount,
        invoiced_rate_per_quantity,
        invoiced_amount,
        invoice_total_amount,
        invoice_date,
        billing_period_start_date,
        service_first_date,
        service_last_date,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_carrier_invoices__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
