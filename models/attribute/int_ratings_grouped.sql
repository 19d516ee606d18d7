-- depends_on: {{ ref("int_days_affected") }}
-- depends_on: {{ ref("int_usage_summed") }}
-- depends_on: {{ ref("int_events_affected") }}
-- One row per rating group: what events are and cost us, as far as many have it in common. A
-- run adds those that its events bring and drops those that no usage group has any more.
with

events as (

    select * from {{ ref('int_events_rated') }}
    {% if is_incremental() %}
        where {{ started_on_days_of(ref('int_days_affected')) }}
        union all
        select ratings.*
        from {{ ref('int_events_rated') }} as ratings
        inner join {{ ref('int_events_affected') }} as affected
            on ratings.event_id = affected.event_id
    {% endif %}

),

ratings_grouped as (

    select
        {{ rating_group_key() }} as rating_group_id,
        service,
        direction,
        carrier_id,
        agreement_id,
        destination_id,
        destination_name,
        country_code,
        quantity_unit,
        billed_unit,
        rating_status,
        unrated_reason,
        rated_cost_currency,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        is_rounded_per_event
    from events
    group by
        service,
        direction,
        carrier_id,
        agreement_id,
        destination_id,
        destination_name,
        country_code,
        quantity_unit,
        billed_unit,
        rating_status,
        unrated_reason,
        rated_cost_currency,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        is_rounded_per_event

)

select * from ratings_grouped
{% if is_incremental() %}
    where rating_group_id not in (select known.rating_group_id from {{ this }} as known)
{% endif %}
