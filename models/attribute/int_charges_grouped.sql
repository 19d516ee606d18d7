-- depends_on: {{ ref("int_days_affected") }}
-- depends_on: {{ ref("int_usage_summed") }}
-- One row per charge group: who is charged for events, by which plan, or why nobody is, and who shares in
-- them. A run adds those that its events bring and drops those that no usage group has any more.
with

events as (

    select * from {{ ref('int_events_attributed') }}
    {% if is_incremental() %}
        where {{ started_on_days_of(ref('int_days_affected')) }}
        union all
        select * from {{ ref('int_events_attributed') }}
        where is_affected
    {% endif %}

),

charges_grouped as (

    select
        {{ charge_group_key() }} as charge_group_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        charge_status,
        uncharged_reason,
        share_account_id,
        stated_participants,
        refunded_agreement_id,
        refunded_direction,
        refunded_country_code,
        refunded_carrier_id,
        refunded_date
    from events
    group by
        partner_id,
        partner_agreement_id,
        plan_id,
        charge_status,
        uncharged_reason,
        share_account_id,
        stated_participants,
        refunded_agreement_id,
        refunded_direction,
        refunded_country_code,
        refunded_carrier_id,
        refunded_date

)

select * from charges_grouped
{% if is_incremental() %}
    where charge_group_id not in (select known.charge_group_id from {{ this }} as known)
{% endif %}
