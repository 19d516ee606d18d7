-- One row per event that must be rated again, because a record of it, a price, the terms or its carrier came, went
-- or changed since the events were last rated, or because it shares an allowance with such an event; a single
-- row in place of all events where they are rated anew.
{% set code_levels = range(17, -1, -1) %}

with

touched as (

    select * from {{ ref('int_events_touched') }}

),

rates as (

    select * from {{ ref('int_rates_resolved') }}

),

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

carriers as (

    select * from {{ ref('int_carriers_resolved') }}

),

records as (

    select
        event_id,
        service,
        direction,
        carrier_id,
        {{ network_number('mcc', 'mnc') }} as network_number,
        case when service = 'email' then 0 else length(destination) end as digit_count,
        case when service = 'email' then 0 else {{ padded_number('destination') }} end as padded_number,
        started_at
    from {{ ref('int_events_collected') }}
    where refusal_reason is null

),

{% if rates_anew() %}
    events_affected as (

        select
            event_id,
            'everything' as cause
        from touched

    )
{% else %}
    ratings as (

        select * from {{ last_run('int_events_rated') }}

    ),

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
            rates.deck_row_id is distinct from rates_before.deck_row_id
            or rates.is_refused is distinct from rates_before.is_refused as is_other
        from rates
        full outer join {{ last_run('int_rates_applied') }} as rates_before
            on rates.rate_row_id = rates_before.rate_row_id

    ),

    -- Whoever the caller is: a price for one origin touches all events of its number or network.
    codes_changed as (

        select distinct
            *,
            length(dial_code) as dial_code_length,
            {{ level_of_code('mcc', 'mnc', 'length(dial_code)') }} as code_level,
            {{ number_of_code_at_level('dial_code', 'mcc', 'mnc') }} as code_number
        from (
            {{ intervals_changed('rates_compared', ['carrier_id', 'service', 'direction', 'dial_code', 'mcc', 'mnc']) }}
        ) as intervals

    ),

    decks_changed as (

        select distinct
            carrier_id,
            service,
            direction
        from codes_changed

    ),

    {% set own_keys = ['agreement_id', 'carrier_id', 'service', 'direction', 'valid_from_at', 'valid_until_at'] %}
    terms_compared as (

        select
            coalesce(rating_terms.carrier_id, terms_before.carrier_id) as carrier_id,
            coalesce(rating_terms.service, terms_before.service) as service,
            coalesce(rating_terms.direction, terms_before.direction) as direction,
            rating_terms.valid_from_at as now_from_at,
            rating_terms.valid_until_at as now_until_at,
            terms_before.valid_from_at as before_from_at,
            terms_before.valid_until_at as before_until_at,
            rating_terms.carrier_id is distinct from terms_before.carrier_id
            {% for column in adapter.get_columns_in_relation(ref('int_rating_terms_resolved')) %}
                {% if column.name not in own_keys %}
                    or rating_terms.{{ column.name }} is distinct from terms_before.{{ column.name }}
                {% endif %}
            {% endfor %}
                as is_other
        from rating_terms
        full outer join {{ last_run('int_rating_terms_applied') }} as terms_before
            on
                rating_terms.agreement_id = terms_before.agreement_id
                and rating_terms.service = terms_before.service
                and rating_terms.direction = terms_before.direction

    ),

    terms_changed as (

        {{ intervals_changed('terms_compared', ['carrier_id', 'service', 'direction']) }}

    ),

    carriers_changed as (

        select coalesce(carriers.carrier_id, carriers_before.carrier_id) as carrier_id
        from carriers
        full outer join {{ last_run('int_carriers_applied') }} as carriers_before
            on carriers.carrier_id = carriers_before.carrier_id
        where
            carriers.is_known is distinct from carriers_before.is_known
            or carriers.has_refused_agreement is distinct from carriers_before.has_refused_agreement

    ),

    affected_by_themselves as (

        select
            event_id,
            'record' as cause
        from touched
        union all
        -- Read as a whole, such a feed may know fewer events than before.
        select
            ratings.event_id,
            'record' as cause
        from ratings
        inner join (select distinct feed from touched) as feeds
            on split_part(ratings.event_id, ':', 1) = feeds.feed
        where feeds.feed in ('{{ var("feeds_read_together") | join("', '") }}')
        union all
        {% for level in code_levels %}
            select
                records.event_id,
                'price' as cause
            from records
            inner join codes_changed
                on
                    codes_changed.code_level = {{ level }}
                    and records.carrier_id = codes_changed.carrier_id
                    and records.service = codes_changed.service
                    and records.direction = codes_changed.direction
                    and {{ number_at_level('records.padded_number', 'records.network_number', level) }}
                    = codes_changed.code_number
                    and records.digit_count >= codes_changed.dial_code_length
                    and records.started_at >= codes_changed.from_at
                    and records.started_at < codes_changed.until_at
            union all
        {% endfor %}
        -- Why an event has no price may change with any price of its deck.
        select
            ratings.event_id,
            'price' as cause
        from ratings
        inner join decks_changed
            on
                ratings.carrier_id = decks_changed.carrier_id
                and ratings.service = decks_changed.service
                and ratings.direction = decks_changed.direction
        where ratings.rating_status = 'unrated'
        union all
        select
            ratings.event_id,
            'terms' as cause
        from ratings
        inner join terms_changed
            on
                ratings.carrier_id = terms_changed.carrier_id
                and ratings.service = terms_changed.service
                and ratings.direction = terms_changed.direction
                and ratings.started_at >= terms_changed.from_at
                and ratings.started_at < terms_changed.until_at
        union all
        select
            ratings.event_id,
            'carrier' as cause
        from ratings
        inner join carriers_changed
            on ratings.carrier_id = carriers_changed.carrier_id

    ),

    -- An allowance is used up in the order in which the events began: one event more, and all later ones of the
    -- month may cost something else.
    allowances as (

        select distinct
            carrier_id,
            service,
            direction
        from rating_terms
        where free_quantity > 0

    ),

    places_affected as (

        select
            ratings.carrier_id,
            ratings.service,
            ratings.direction,
            ratings.started_at
        from ratings
        inner join affected_by_themselves
            on ratings.event_id = affected_by_themselves.event_id
        inner join allowances
            on
                ratings.carrier_id = allowances.carrier_id
                and ratings.service = allowances.service
                and ratings.direction = allowances.direction
        union all
        select
            records.carrier_id,
            records.service,
            records.direction,
            records.started_at
        from records
        inner join touched
            on records.event_id = touched.event_id
        inner join allowances
            on
                records.carrier_id = allowances.carrier_id
                and records.service = allowances.service
                and records.direction = allowances.direction

    ),

    -- Wherever the agreement's clock stands, its month is that of the day before, or of the day after.
    months_affected as (

        select
            carrier_id,
            service,
            direction,
            {{ month_of('started_at - interval 1 day') }} as month_date
        from places_affected
        union
        select
            carrier_id,
            service,
            direction,
            {{ month_of('started_at + interval 1 day') }} as month_date
        from places_affected

    ),

    affected as (

        select * from affected_by_themselves
        union all
        select
            ratings.event_id,
            'shared_allowance' as cause
        from ratings
        inner join months_affected
            on
                ratings.carrier_id = months_affected.carrier_id
                and ratings.service = months_affected.service
                and ratings.direction = months_affected.direction
                and {{ month_of('ratings.carrier_local_date') }} = months_affected.month_date

    ),

    events_affected as (

        select
            event_id,
            min(cause) as cause
        from affected
        group by event_id

    )
{% endif %}

select * from events_affected
