-- One row per carrier, service, direction and day as the carrier writes it: by how many seconds its clock
-- is ahead of ours. Told by calls that cannot be mistaken, those whose id or numbers stand once on each
-- side of a day: most of their differences lie together. A day with too few of them has the shift of all
-- days. Where a clock changes its hour, the day before or after has another shift.
{% set keys = ['id_key', 'numbers_key'] %}
{% set calls = ref('int_calls_keyed') %}
{% set near = 5 %}
with

{% for key in keys %}
    pairs_by_{{ key }} as (

        select
            scope_number,
            written_date,
            {{ integer_divide('(max(case when is_ours then 0 else started_ms end)'
                ~ ' - max(case when is_ours then started_ms else 0 end) + 200000000500)', 1000) }} - 200000000
                as difference
        from {{ calls }}
        where {{ key }} is not null
        group by scope_number, written_date, {{ key }}
        having count(*) = 2 and sum(case when is_ours then 1 else 0 end) = 1

    ),

{% endfor %}
differences_counted as (

    select
        scope_number,
        written_date,
        difference,
        count(*) as pair_count
    from (
        {% for key in keys %}
            select * from pairs_by_{{ key }}
            {{ 'union all' if not loop.last }}
        {% endfor %}
    ) as pairs
    -- No clock of the world is further away, nor are the events that are compared.
    where abs(difference) <= 15 * 3600
    group by scope_number, written_date, difference

),

-- Each day, and all days together.
differences as (

    select * from differences_counted
    union all
    select
        scope_number,
        cast(null as date) as written_date,
        difference,
        sum(pair_count) as pair_count
    from differences_counted
    group by scope_number, difference

),

neighbours_counted as (

    select
        *,
        sum(pair_count) over (
            partition by scope_number, written_date order by difference
            range between {{ near }} preceding and {{ near }} following
        ) as near_count,
        -- From here the mean of those around is reckoned, in whole numbers.
        sum(pair_count * (difference + 1000000)) over (
            partition by scope_number, written_date order by difference
            range between {{ near }} preceding and {{ near }} following
        ) as near_total,
        sum(pair_count) over (partition by scope_number, written_date) as all_count
    from differences

),

peaks_ranked as (

    select
        scope_number,
        written_date,
        near_count,
        all_count,
        cast({{ integer_divide('(2 * near_total + near_count)', '(2 * near_count)') }} - 1000000 as bigint)
            as shift_seconds,
        row_number() over (
            partition by scope_number, written_date
            order by near_count desc, pair_count desc, abs(difference) asc, difference asc
        ) as peak_rank
    from neighbours_counted

),

days as (

    select
        scope_number,
        written_date,
        count(*) as cdr_count
    from {{ calls }}
    where not is_ours
    group by scope_number, written_date

),

days_judged as (

    select
        days.scope_number,
        days.written_date,
        days.cdr_count,
        coalesce(
            case
                when day_peaks.near_count >= 5 and day_peaks.near_count * 4 >= day_peaks.all_count
                    then day_peaks.shift_seconds
            end,
            case when all_peaks.near_count >= 3 then all_peaks.shift_seconds end,
            0
        ) as shift_seconds
    from days
    left join peaks_ranked as day_peaks
        on
            days.scope_number = day_peaks.scope_number
            and days.written_date = day_peaks.written_date
            and day_peaks.peak_rank = 1
    left join peaks_ranked as all_peaks
        on
            days.scope_number = all_peaks.scope_number
            and all_peaks.written_date is null
            and all_peaks.peak_rank = 1

),

neighbours_seen as (

    select
        *,
        lag(shift_seconds) over (partition by scope_number order by written_date) as previous_shift_seconds,
        lead(shift_seconds) over (partition by scope_number order by written_date) as next_shift_seconds
    from days_judged

),

clock_shifts_estimated as (

    select
        scope_number,
        written_date,
        cdr_count,
        shift_seconds,
        case
            when abs(previous_shift_seconds - shift_seconds) > {{ 2 * near }} then previous_shift_seconds
            when abs(next_shift_seconds - shift_seconds) > {{ 2 * near }} then next_shift_seconds
            else shift_seconds
        end as other_shift_seconds
    from neighbours_seen

)

select * from clock_shifts_estimated
