-- One row per day (UTC) of usage with the fingerprint of its groups, and what must change in the table of
-- daily usage, which shows them or what they were: nothing, the rows of the groups that this run adds to, or
-- the whole day. The days are compared, whatever a run has found affected: a run may have ended before that
-- table.
with

groups_summed as (

    select
        usage_date,
        sum({{ usage_group_fingerprint() }}) as fingerprint
    from {{ ref('int_usage_summed') }}
    group by usage_date

),

reported as (

    {{ days_reported() }}

),

days_fingerprinted as (

    select
        coalesce(groups_summed.usage_date, reported.usage_date) as usage_date,
        groups_summed.fingerprint,
        case
            when groups_summed.fingerprint = reported.fingerprint then 'nothing'
            when affected.is_added_to and affected.fingerprint_before = reported.fingerprint then 'rows'
            else 'day'
        end as change_to_report
    from groups_summed
    full outer join reported
        on groups_summed.usage_date = reported.usage_date
    left join {{ ref('int_days_affected') }} as affected
        on groups_summed.usage_date = affected.usage_date

)

select * from days_fingerprinted
