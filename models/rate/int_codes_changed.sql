-- One row per code and interval in which another price holds than when the events were last rated, whoever
-- the caller is; none where all events are rated anew. A table of its own, so that the engine knows how few
-- they are.
with

rates as (

    select * from {{ ref('int_rates_resolved') }}

),

{% if rates_anew() %}
    intervals as (

        select
            carrier_id,
            service,
            direction,
            dial_code,
            mcc,
            mnc,
            applies_from_at as from_at,
            applies_until_at as until_at
        from rates
        where false

    ),
{% else %}
    rates_compared as (

        select
            coalesce(rates.carrier_id, rates_before.carrier_id) as carrier_id,
            coalesce(rates.service, rates_before.service) as service,
            coalesce(rates.direction, rates_before.direction) as direction,
            coalesce(rates.dial_code, rates_before.dial_code) as dial_code,
            coalesce(rates.mcc, rates_before.mcc) as mcc,
            coalesce(rates.mnc, rates_before.mnc) as mnc,
            rates.applies_from_at as now_from_at,
            rates.applies_until_at as now_until_at,
            rates_before.applies_from_at as before_from_at,
            rates_before.applies_until_at as before_until_at,
            {{ differs('rates.deck_row_id', 'rates_before.deck_row_id') }}
            or {{ differs('rates.is_refused', 'rates_before.is_refused') }} as is_other
        from rates
        full outer join {{ last_run('int_rates_applied') }} as rates_before
            on rates.rate_row_id = rates_before.rate_row_id

    ),

    intervals as (

        {{ intervals_changed(
            'rates_compared', ['carrier_id', 'service', 'direction', 'dial_code', 'mcc', 'mnc']
        ) }}

    ),
{% endif %}

codes_changed as (

    select distinct
        carrier_id,
        service,
        direction,
        length(dial_code) as dial_code_length,
        {{ level_of_code('mcc', 'mnc', 'length(dial_code)') }} as code_level,
        {{ number_of_code_at_level('dial_code', 'mcc', 'mnc') }} as code_number,
        from_at,
        until_at
    from intervals

)

select * from codes_changed
