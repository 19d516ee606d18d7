-- One row per deck row of every feed that settles (dbt_project.yml lists them), readable or refused. Only the
-- native feed says when a deck was received; the others are taken to be in time. Only feeds with a remark on
-- each row say that a code is new, and only the native layout has prices by network and by the caller's
-- number.
{% set with_remarks = ['native', 'twt_change_notice', 'twt_offer'] %}

{% for feed in var('feeds')['rate_decks'] %}
    select
        feed,
        carrier_id,
        service,
        direction,
        deck_version,
        deck_kind,
        {{ name_of_code('dial_code', 'mcc', 'mnc', 'origin_code') if feed == 'native' else 'dial_code' }}
            as code_name,
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
        {{ 'is_new' if feed in with_remarks else 'false as is_new' }},
        {{ 'true' if feed == 'native' else 'false' }} as is_receipt_stated,
        effective_date,
        received_at,
        loaded_at,
        file_id,
        record_number
    from {{ ref('stg_rate_decks__' ~ feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
