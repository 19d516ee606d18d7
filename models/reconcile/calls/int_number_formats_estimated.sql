-- One row per carrier, service and direction: how its numbers become comparable with ours. Prefixes need
-- no answer, since only the last digits are compared; but a carrier may cut off the last ones, or write
-- other signs over them, or not show the caller at all. Judged on the day with most records: of the ways
-- that lead to nine tenths of the numbers that the best one finds, the one that hides least.
{% set ways = [(0, 0), (1, 1), (1, 0), (2, 2), (2, 0), (3, 3), (3, 0), (4, 4), (4, 0)] %}
with

cdrs as (

    select
        scope_number,
        calling_number,
        called_number,
        cast(started_at as date) as written_date
    from {{ ref('int_cdrs_deduplicated') }}

),

days_counted as (

    select
        scope_number,
        written_date,
        row_number() over (partition by scope_number order by count(*) desc, written_date) as day_rank
    from cdrs
    group by scope_number, written_date

),

busiest_days as (

    select
        scope_number,
        written_date
    from days_counted
    where day_rank = 1

),

their_numbers as (

    {% for role in ['called', 'calling'] %}
        select distinct
            cdrs.scope_number,
            '{{ role }}' as number_role,
            cdrs.{{ role }}_number as shown_number
        from cdrs
        inner join busiest_days
            on
                cdrs.scope_number = busiest_days.scope_number
                and cdrs.written_date = busiest_days.written_date
        where cdrs.{{ role }}_number is not null
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- On the carrier's clock the day may have been another one.
our_numbers as (

    {% for role in ['called', 'calling'] %}
        select distinct
            events.scope_number,
            '{{ role }}' as number_role,
            events.{{ role }}_number as shown_number
        from {{ ref('int_events_covered') }} as events
        inner join busiest_days
            on
                events.scope_number = busiest_days.scope_number
                and cast(events.started_at as date) between {{ add_days('busiest_days.written_date', -1) }}
                and {{ add_days('busiest_days.written_date', 1) }}
        where events.{{ role }}_number is not null
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

their_digits as (

    {% for _, hidden in ways %}
        select
            scope_number,
            number_role,
            {{ loop.index0 }} as way_number,
            {{ compared_digits('shown_number', hidden) }} as digits
        from their_numbers
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

our_digits as (

    {% for hidden, _ in ways %}
        select distinct
            scope_number,
            number_role,
            {{ loop.index0 }} as way_number,
            {{ compared_digits('shown_number', hidden) }} as digits
        from our_numbers
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

ways_scored as (

    select
        their_digits.scope_number,
        their_digits.number_role,
        their_digits.way_number,
        count(*) as number_count,
        count(our_digits.digits) as found_count
    from their_digits
    left join our_digits
        on
            their_digits.scope_number = our_digits.scope_number
            and their_digits.number_role = our_digits.number_role
            and their_digits.way_number = our_digits.way_number
            and their_digits.digits = our_digits.digits
            and their_digits.digits != ''
    group by their_digits.scope_number, their_digits.number_role, their_digits.way_number

),

ways_compared as (

    select
        *,
        max(found_count) over (partition by scope_number, number_role) as most_found_count
    from ways_scored

),

-- A caller that is seldom one of ours is not the caller.
ways_chosen as (

    select
        scope_number,
        number_role,
        min(way_number) as way_number,
        max(most_found_count) * 2 >= max(number_count) as is_compared
    from ways_compared
    where found_count * 10 >= most_found_count * 9
    group by scope_number, number_role

),

number_formats_estimated as (

    select
        busiest_days.scope_number,
        {% for role in ['called', 'calling'] %}
            {% for side in ['our', 'their'] %}
                {% set way_number = 'coalesce(' ~ role ~ '_ways.way_number, 0)' %}
                case {{ way_number }}
                    {% for way in ways %}
                        when {{ loop.index0 }} then {{ way[0] if side == 'our' else way[1] }}
                    {% endfor %}
                end as {{ side }}_hidden_{{ role }}_digits,
            {% endfor %}
        {% endfor %}
        coalesce(calling_ways.is_compared, false) as is_calling_compared
    from busiest_days
    left join ways_chosen as called_ways
        on
            busiest_days.scope_number = called_ways.scope_number
            and called_ways.number_role = 'called'
    left join ways_chosen as calling_ways
        on
            busiest_days.scope_number = calling_ways.scope_number
            and calling_ways.number_role = 'calling'

)

select * from number_formats_estimated
