-- One row per event that must be rated again, because a record of it, a price, the terms or its carrier came,
-- went or changed since the events were last rated, or because it shares an allowance with such an event; a
-- single row in place of all events where they are rated anew.
{# Named wherever they are read: in a CTE that is read in several places all events would be written down. #}
{% set records = ref('int_events_collected') %}
{% set codes_changed = ref('int_codes_changed') %}
{% set rating_terms = ref('int_rating_terms_resolved') %}
{% set carriers = ref('int_carriers_resolved') %}
{% set ratings = last_run('int_events_rated') %}

with

touched as (

    select * from {{ ref('int_events_touched') }}

),

{% if rates_anew() %}
    events_affected as (

        select
            event_id,
            'everything' as cause
        from touched

    )
{% else %}
    decks_changed as (

        select distinct
            carrier_id,
            service,
            direction
        from {{ codes_changed }}

    ),

    {% set own_keys = [
        'agreement_id', 'carrier_id', 'service', 'direction', 'valid_from_at', 'valid_until_at',
    ] %}
    terms_compared as (

        select
            coalesce(rating_terms.carrier_id, terms_before.carrier_id) as carrier_id,
            coalesce(rating_terms.service, terms_before.service) as service,
            coalesce(rating_terms.direction, terms_before.direction) as direction,
            rating_terms.valid_from_at as now_from_at,
            rating_terms.valid_until_at as now_until_at,
            terms_before.valid_from_at as before_from_at,
            terms_before.valid_until_at as before_until_at,
            {{ differs('rating_terms.carrier_id', 'terms_before.carrier_id') }}
            {% for column in adapter.get_columns_in_relation(rating_terms) %}
                {% if column.name not in own_keys %}
                    or {{ differs('rating_terms.' ~ column.name, 'terms_before.' ~ column.name) }}
                {% endif %}
            {% endfor %}
                as is_other
        from {{ rating_terms }} as rating_terms
        full outer join {{ last_run('int_rating_terms_applied') }} as terms_before
            on
                rating_terms.agreement_id = terms_before.agreement_id
                and rating_terms.carrier_id = terms_before.carrier_id
                and rating_terms.service = terms_before.service
                and rating_terms.direction = terms_before.direction

    ),

    terms_changed as (

        {{ intervals_changed('terms_compared', ['carrier_id', 'service', 'direction']) }}

    ),

    carriers_changed as (

        select coalesce(carriers.carrier_id, carriers_before.carrier_id) as carrier_id
        from {{ carriers }} as carriers
        full outer join {{ last_run('int_carriers_applied') }} as carriers_before
            on carriers.carrier_id = carriers_before.carrier_id
        where
            {{ differs('carriers.is_known', 'carriers_before.is_known') }}
            or {{ differs('carriers.has_refused_agreement', 'carriers_before.has_refused_agreement') }}

    ),

    feeds_touched as (

        select distinct feed
        from touched

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
        from {{ ratings }} as ratings
        inner join feeds_touched
            on split_part(ratings.event_id, ':', 1) = feeds_touched.feed
        where {{ is_read_together('feeds_touched.feed') }}
        union all
        {% for level in code_levels() %}
            select
                records.event_id,
                'price' as cause
            from {{ records }} as records
            inner join {{ codes_changed }} as codes_changed
                on
                    codes_changed.code_level = {{ level }}
                    and records.carrier_id = codes_changed.carrier_id
                    and records.service = codes_changed.service
                    and records.direction = codes_changed.direction
                    {% if level > 15 %}
                        and {{ number_at_level(none, network_number('records.mcc', 'records.mnc'), level) }}
                        = codes_changed.code_number
                    {% elif level > 0 %}
                        and length(records.destination) >= codes_changed.dial_code_length
                        and {{ number_at_level(padded_number('records.destination'), none, level) }}
                        = codes_changed.code_number
                    {% endif %}
                    and records.started_at >= codes_changed.from_at
                    and records.started_at < codes_changed.until_at
            where records.refusal_reason is null
            union all
        {% endfor %}
        -- Why an event has no price may change with any price of its deck.
        select
            ratings.event_id,
            'price' as cause
        from {{ ratings }} as ratings
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
        from {{ ratings }} as ratings
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
        from {{ ratings }} as ratings
        inner join carriers_changed
            on ratings.carrier_id = carriers_changed.carrier_id

    ),

    -- An allowance is used up in the order in which the events began: one event more, and all later ones of
    -- the month may cost something else.
    allowances as (

        select distinct
            carrier_id,
            service,
            direction
        from {{ rating_terms }}
        where free_quantity > 0

    ),

    places_affected as (

        select
            ratings.carrier_id,
            ratings.service,
            ratings.direction,
            ratings.started_at
        from {{ ratings }} as ratings
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
        from {{ records }} as records
        inner join touched
            on records.event_id = touched.event_id
        inner join allowances
            on
                records.carrier_id = allowances.carrier_id
                and records.service = allowances.service
                and records.direction = allowances.direction
        where records.refusal_reason is null

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
        from {{ ratings }} as ratings
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
