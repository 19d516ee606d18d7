{# One to one: which call of ours is which call of theirs? CTEs, of which the last one, pairs_found, has event_number and cdr_number.
   calls                 a CTE, one row per call: is_ours, call_number, listed_number, calling_key, run_key (only calls with the same are
                         compared), at_ms, duration_ms
   most_apart_ms         calls that begin further apart are two calls
   surely_near_ms        where many calls are near, one that begins further away than this must agree in its duration
   knows_both_numbers    false: run_key does not hold both numbers, so a pair may not contradict in the caller's, and must agree in its
                         duration where the caller's number is not shown
   Calls with one run_key that follow each other within most_apart_ms are a run. Where it has one call on each side, they are a pair; these
   are nearly all, and need no join. In the other runs, calls near each other are compared by start and duration (which two switches measure
   better, so it weighs three times as much, up to ten seconds), and paired in six rounds where each is the other's nearest; of equals those
   with the same place in their side's order, so that calls of one second keep it. #}
{% macro pair_calls(calls, most_apart_ms, surely_near_ms=10000, knows_both_numbers=true) -%}
    {%- set tolerance_ms = var('call_duration_tolerance_seconds') * 1000 -%}
    {%- set in_order = 'partition by run_key order by at_ms, is_ours, listed_number, call_number' -%}
    {%- set rounds = 6 -%}
runs_begun as (

    select
        *,
        case when at_ms - lag(at_ms) over ({{ in_order }}) <= {{ most_apart_ms }} then 0 else 1 end as begins_run
    from {{ calls }}

),

runs_numbered as (

    select
        *,
        sum(begins_run) over ({{ in_order }} rows between unbounded preceding and current row) as run_number
    from runs_begun

),

runs_counted as (

    select
        run_key,
        run_number,
        min(case when is_ours then call_number end) as event_number,
        min(case when not is_ours then call_number end) as cdr_number,
        sum(case when is_ours then 1 else 0 end) as our_count,
        sum(case when is_ours then 0 else 1 end) as their_count
    from runs_numbered
    group by run_key, run_number

),

calls_of_crowded_runs as (

    select
        runs_numbered.*,
        row_number() over (
            partition by runs_numbered.run_key, runs_numbered.run_number, runs_numbered.is_ours
            order by runs_numbered.at_ms, runs_numbered.listed_number, runs_numbered.call_number
        ) as place,
        row_number() over (
            partition by
                runs_numbered.run_key, runs_numbered.run_number, runs_numbered.is_ours, runs_numbered.at_ms, runs_numbered.duration_ms
            order by runs_numbered.listed_number, runs_numbered.call_number
        ) as copy_number
    from runs_numbered
    inner join runs_counted
        on runs_numbered.run_key = runs_counted.run_key and runs_numbered.run_number = runs_counted.run_number
    where
        runs_counted.our_count > 0 and runs_counted.their_count > 0
        {{ 'and runs_counted.our_count + runs_counted.their_count > 2' if knows_both_numbers }}

),

-- Neighbours are in the same stretch of time or the next one, so that a long run is compared with its surroundings only.
their_surroundings as (

    {% for step in [-1, 0, 1] %}
    select *, {{ integer_divide('at_ms', most_apart_ms) }} + {{ step }} as stretch_number
    from calls_of_crowded_runs
    where not is_ours
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

pairs_possible_0 as (

    select
        ours.call_number as event_number,
        theirs.call_number as cdr_number,
        ours.place as our_place,
        theirs.place as their_place,
        abs(ours.at_ms - theirs.at_ms) + 3 * least(abs(coalesce(ours.duration_ms - theirs.duration_ms, 0)), 10000) as distance
    from calls_of_crowded_runs as ours
    inner join their_surroundings as theirs
        on
            ours.run_key = theirs.run_key
            and ours.run_number = theirs.run_number
            and {{ integer_divide('ours.at_ms', most_apart_ms) }} = theirs.stretch_number
    where
        ours.is_ours
        and abs(ours.at_ms - theirs.at_ms) <= {{ most_apart_ms }}
        and (
            abs(ours.at_ms - theirs.at_ms) <= {{ surely_near_ms }}
            or coalesce(abs(ours.duration_ms - theirs.duration_ms) <= {{ tolerance_ms }}, true)
        )
        -- A record that is written twice is a second call only where we have one of its length.
        and (theirs.copy_number = 1 or coalesce(abs(ours.duration_ms - theirs.duration_ms) <= {{ tolerance_ms }}, true))
        {%- if not knows_both_numbers %}
        and case
            when ours.calling_key = theirs.calling_key then true
            when ours.calling_key is null or theirs.calling_key is null
                then coalesce(abs(ours.duration_ms - theirs.duration_ms) <= {{ tolerance_ms }}, true)
            else false
        end
        {%- endif %}

),

{% for round in range(1, rounds + 1) %}
nearest_{{ round }} as (

    select
        *,
        row_number() over (
            partition by event_number order by distance, abs(our_place - their_place), their_place
        ) = 1
        and row_number() over (
            partition by cdr_number order by distance, abs(our_place - their_place), our_place
        ) = 1 as is_pair
    from pairs_possible_{{ round - 1 }}

),

pairs_possible_{{ round }} as (

    select
        event_number,
        cdr_number,
        our_place,
        their_place,
        distance
    from (
        select
            *,
            bool_or(is_pair) over (partition by event_number) or bool_or(is_pair) over (partition by cdr_number) as is_decided
        from nearest_{{ round }}
    ) as decided
    where not is_decided

),

{% endfor %}
pairs_found as (

    {% if knows_both_numbers %}
    select event_number, cdr_number
    from runs_counted
    where our_count = 1 and their_count = 1
    union all
    {% endif %}
    {% for round in range(1, rounds + 1) %}
    select event_number, cdr_number
    from nearest_{{ round }}
    where is_pair
    {{ 'union all' if not loop.last }}
    {% endfor %}

)
{%- endmacro %}
