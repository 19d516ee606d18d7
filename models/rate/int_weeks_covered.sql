-- One row per code with time bands or steps: how many minutes of the week have a price at all, how many
-- have one from the first second of a call on, and the first band that begins before another one has ended.
{% set minutes_of_a_day = 1440 %}
{% set day_of_bands -%}
    partition by bands.deck_row_id, week.day_number
    order by bands.from_minute, bands.until_minute, bands.rate_row_id
{%- endset %}
{% set bands_before = 'rows between unbounded preceding and 1 preceding' %}

with

prices as (

    select * from {{ ref('int_rates_resolved') }}
    where not is_refused

),

codes as (

    select deck_row_id
    from {{ ref('int_rate_decks_resolved') }}
    where has_bands_or_steps

),

-- The steps of a band follow each other, so it prices a call from its first step on.
bands as (

    select
        prices.deck_row_id,
        prices.weekdays,
        prices.from_minute,
        prices.until_minute,
        min_by(prices.rate_row_id, prices.from_quantity) as rate_row_id,
        min_by(prices.rate_amount, prices.from_quantity) as rate_amount,
        min_by(prices.rate_per_quantity, prices.from_quantity) as rate_per_quantity,
        min(prices.from_quantity) as from_quantity
    from prices
    inner join codes
        on prices.deck_row_id = codes.deck_row_id
    group by prices.deck_row_id, prices.weekdays, prices.from_minute, prices.until_minute

),

week as (

    {% for day in range(1, 8) %}
        select {{ day }} as day_number
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

days_laid as (

    select
        bands.*,
        (week.day_number - 1) * {{ minutes_of_a_day }} + bands.from_minute as minute_of_week,
        lag(bands.until_minute) over ({{ day_of_bands }}) as last_until_minute,
        lag(bands.rate_amount) over ({{ day_of_bands }}) as last_rate_amount,
        lag(bands.rate_per_quantity) over ({{ day_of_bands }}) as last_per_quantity,
        coalesce(max(bands.until_minute) over ({{ day_of_bands }} {{ bands_before }}), 0) as reached_minute,
        coalesce(
            max(case when bands.from_quantity = 0 then bands.until_minute end)
                over ({{ day_of_bands }} {{ bands_before }}),
            0
        ) as reached_from_start_minute
    from bands
    inner join week
        on substring(bands.weekdays, week.day_number, 1) = '1'

),

bands_overlapping as (

    select
        deck_row_id,
        rate_row_id,
        case when from_minute < last_until_minute then last_rate_amount end as overlapped_rate_amount,
        case when from_minute < last_until_minute then last_per_quantity end as overlapped_per_quantity
    from days_laid
    where from_minute < reached_minute
    qualify row_number() over (partition by deck_row_id order by minute_of_week, rate_row_id) = 1

),

minutes_counted as (

    select
        deck_row_id,
        cast(
            sum(greatest(0, until_minute - greatest(from_minute, reached_minute))) as integer
        ) as priced_minutes,
        cast(
            sum(
                case
                    when from_quantity = 0
                        then greatest(0, until_minute - greatest(from_minute, reached_from_start_minute))
                    else 0
                end
            ) as integer
        ) as priced_from_start_minutes
    from days_laid
    group by deck_row_id

),

weeks_covered as (

    select
        minutes_counted.deck_row_id,
        bands_overlapping.rate_row_id as overlapping_row_id,
        bands_overlapping.overlapped_rate_amount,
        bands_overlapping.overlapped_per_quantity,
        minutes_counted.priced_minutes,
        minutes_counted.priced_from_start_minutes
    from minutes_counted
    left join bands_overlapping
        on minutes_counted.deck_row_id = bands_overlapping.deck_row_id

)

select * from weeks_covered
