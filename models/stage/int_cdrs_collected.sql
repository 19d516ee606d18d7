-- One row per call record of every feed of carriers that settles (dbt_project.yml lists them), readable or
-- refused. A file is read once.
with

records as (

    {% for feed in var('feeds')['carrier_cdrs'] %}
        select
            feed,
            carrier_id,
            record_id,
            call_id,
            service,
            direction,
            calling_number,
            called_number,
            destination_name,
            invoice_number,
            carrier_currency,
            quantity_unit,
            refusal_reason,
            amount_decimals,
            duration_seconds,
            carrier_quantity,
            carrier_amount,
            started_at,
            loaded_at,
            file_id,
            record_number
        from {{ ref('stg_carrier_cdrs__' ~ feed) }}
        {% if is_incremental() %}
            where file_id in ({{ files_with_news(feed, ref('stg_carrier_cdrs__' ~ feed), this) }})
        {% endif %}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from records
