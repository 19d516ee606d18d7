-- One row per deck row of every feed that settles (dbt_project.yml lists them), readable or refused. Only the
-- native feed says when a deck was received; the others are taken to be in time. Only feeds with a remark on
-- each row say that a code is new, and only the native layout has prices by network, by the caller's number
-- and by a destination's name alone.
{% set with_remarks = ['native', 'twt_change_notice', 'twt_offer'] %}

with

names as (

    select
        file_id,
        record_number,
        max(dial_code) is not null as is_known
    from {{ ref('int_deck_names_mapped') }}
    group by file_id, record_number

),

deck_rows_collected as (

    {% for feed in var('feeds')['rate_decks'] %}
        {% set is_native = feed == 'native' %}
        select
            deck_rows.feed,
            deck_rows.carrier_id,
            deck_rows.service,
            deck_rows.direction,
            deck_rows.deck_version,
            deck_rows.deck_kind,
            {% if is_native %}
                {{ name_of_code(
                    "case when names.is_known then 'destination ' || lower(deck_rows.destination_name)"
                    ~ " else deck_rows.dial_code end",
                    'deck_rows.mcc', 'deck_rows.mnc', 'deck_rows.origin_code'
                ) }} as code_name,
                deck_rows.dial_code,
                deck_rows.mcc,
                deck_rows.mnc,
                deck_rows.origin_code,
            {% else %}
                deck_rows.dial_code as code_name,
                deck_rows.dial_code,
                cast(null as string) as mcc,
                cast(null as string) as mnc,
                cast(null as string) as origin_code,
            {% endif %}
            deck_rows.destination_name,
            deck_rows.rate_currency,
            deck_rows.rate_unit,
            {% if is_native %}
                case
                    when not names.is_known then 'destination_name_unmapped'
                    else deck_rows.refusal_reason
                end as refusal_reason,
            {% else %}
                deck_rows.refusal_reason,
            {% endif %}
            deck_rows.rate_amount,
            deck_rows.rate_per_quantity,
            deck_rows.connect_fee_amount,
            deck_rows.minimum_quantity,
            deck_rows.increment_quantity,
            deck_rows.maximum_amount,
            deck_rows.weekdays,
            deck_rows.from_minute,
            deck_rows.until_minute,
            deck_rows.from_quantity,
            {{ 'coalesce(names.is_known, false)' if is_native else 'false' }} as is_by_name,
            deck_rows.is_closed,
            {{ 'deck_rows.is_new' if feed in with_remarks else 'false' }} as is_new,
            {{ 'true' if is_native else 'false' }} as is_receipt_stated,
            deck_rows.effective_date,
            deck_rows.received_at,
            deck_rows.loaded_at,
            deck_rows.file_id,
            deck_rows.record_number
        from {{ ref('stg_rate_decks__' ~ feed) }} as deck_rows
        {% if is_native %}
            left join names
                on
                    deck_rows.file_id = names.file_id
                    and deck_rows.record_number = names.record_number
        {% endif %}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from deck_rows_collected
