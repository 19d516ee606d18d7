-- Fails if an event is attributed never or twice, is charged without partner, agreement or plan, or is
-- uncharged without a reason: a partner would be charged twice, or for nothing, or not at all. Looks at the
-- events that the run rated and at the days whose groups it made again; the events of a day are first
-- compared by sums, and only where these differ, one by one.
-- depends_on: {{ ref('int_days_affected') }}
{{ config(meta={'dagster': {'ref': {'name': 'int_events_attributed', 'package': 'tollgate'}}}) }}
with

ratings as (

    select
        event_id,
        cast(started_at as date) as event_date
    from {{ ref('int_events_rated') }}
    where {{ started_on_days_of(ref('int_days_affected')) }}
    union all
    select
        ratings.event_id,
        cast(ratings.started_at as date) as event_date
    from {{ ref('int_events_rated') }} as ratings
    inner join {{ ref('int_events_affected') }} as affected
        on ratings.event_id = affected.event_id
    where not ({{ started_on_days_of(ref('int_days_affected')) }})

),

events_attributed as (

    select * from {{ ref('int_events_attributed') }}
    where {{ started_on_days_of(ref('int_days_affected')) }}
    union all
    select * from {{ ref('int_events_attributed') }}
    where is_affected and not ({{ started_on_days_of(ref('int_days_affected')) }})

),

attributions as (

    select
        event_id,
        cast(started_at as date) as event_date,
        case
            when
                charge_status = 'charged'
                and (partner_id is null or partner_agreement_id is null or plan_id is null)
                then 'charged without partner, agreement or plan'
            when charge_status != 'charged' and charged_quantity != 0
                then 'a charged quantity without being charged'
            when (charge_status = 'uncharged') != (uncharged_reason is not null)
                then 'uncharged without a reason, or a reason without being uncharged'
        end as violation
    from events_attributed

),

ratings_summed as (

    select
        event_date,
        count(*) as event_count,
        sum({{ fingerprint(['event_id']) }}) as fingerprints
    from ratings
    group by event_date

),

attributions_summed as (

    select
        event_date,
        count(*) as event_count,
        sum({{ fingerprint(['event_id']) }}) as fingerprints
    from attributions
    group by event_date

),

days_differing as (

    select coalesce(ratings_summed.event_date, attributions_summed.event_date) as event_date
    from ratings_summed
    full outer join attributions_summed
        on ratings_summed.event_date = attributions_summed.event_date
    where
        ratings_summed.event_count is distinct from attributions_summed.event_count
        or ratings_summed.fingerprints is distinct from attributions_summed.fingerprints

),

events_told_apart as (

    select
        ratings.event_id,
        1 as rating_count,
        0 as attribution_count
    from ratings
    inner join days_differing
        on ratings.event_date = days_differing.event_date
    union all
    select
        attributions.event_id,
        0 as rating_count,
        1 as attribution_count
    from attributions
    inner join days_differing
        on attributions.event_date = days_differing.event_date

)

select
    event_id,
    'not attributed exactly once' as violation
from events_told_apart
group by event_id
having sum(rating_count) != 1 or sum(attribution_count) != 1

union all

select
    event_id,
    violation
from attributions
where violation is not null
