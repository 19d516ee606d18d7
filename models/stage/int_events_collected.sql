-- One row per usage record of every feed that settles (dbt_project.yml lists them), readable or refused. A
-- file is read once: a later run reads only those with something new, and puts their records in place of
-- what is here. Only the native feed says which attempt of a call was its last, what counts toward no
-- commitment, what is refunded, and what the carrier calls it; a record of any other is one, does, and
-- refunds nothing. Few feeds state the network of the destination.
with

records as (

    {% for feed in var('feeds')['usage'] %}
        select
            feed || ':' || source_event_id as event_id,
            feed,
            {{ 'call_id' if feed == 'native' else 'cast(null as string) as call_id' }},
            service,
            direction,
            account_id,
            carrier_id,
            origin,
            destination,
            {{ 'mcc' if feed in var('feeds_with_networks') else 'cast(null as string) as mcc' }},
            {{ 'mnc' if feed in var('feeds_with_networks') else 'cast(null as string) as mnc' }},
            event_status,
            quantity_unit,
            refusal_reason,
            vendor_currency,
            {% for flag in ['is_final_attempt', 'counts_toward_commitment'] %}
                {{ flag if feed == 'native' else 'true as ' ~ flag }},
            {% endfor %}
            {{ "'native:' || refund_of" if feed == 'native' else 'cast(null as string)' }}
                as refunded_event_id,
            -- Kept in 64 bits; what does not fit is refused.
            try_cast(quantity as decimal(18, 6)) as quantity,
            {{ 'try_cast(refunded_quantity as decimal(18, 6))' if feed == 'native'
                else 'cast(null as decimal(18, 6))' }} as refunded_quantity,
            vendor_amount,
            started_at,
            received_at,
            loaded_at,
            file_id,
            record_number
        from {{ ref('stg_usage__' ~ feed) }}
        {% if is_incremental() %}
            where file_id in ({{ files_with_news(feed, ref('stg_usage__' ~ feed), this) }})
        {% endif %}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from records
