-- One row per deck row of every feed that settles (dbt_project.yml lists them), readable or refused. Only the
-- native layout has prices by network and by the caller's number.
{% for feed in var('feeds')['rate_decks'] %}
    select
        feed,
        carrier_id,
        service,
        direction,
        deck_version,
        deck_kind,
        dial_code,
        {% for column in ['mcc', 'mnc', 'origin_code'] %}
            {{ column if feed == 'native' else 'cast(null as string) as ' ~ column }},
        {% endfor %}
        destination_name,
        rate_currency,
        rate_unit,
        refusal_reason,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        minimum_quantity,
        increment_quantity,
        maximum_amount,
        weekdays,
        from_minute,
        until_minute,
        from_quantity,
        is_closed,
        effective_date,
        received_at,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_rate_decks__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
