-- One row per partner, billing month, plan, line of it and day: the usage that is charged, as the plan needs
-- to know it.
with

plans as (

    select * from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

records as (

    select * from {{ ref('int_records_priced') }}

),

plans_by_record as (

    select distinct plan_id from records

),

usage_metered as (

    select
        usage_groups.partner_id,
        usage_groups.partner_agreement_id,
        usage_groups.plan_id,
        {{ line_key_of('plans.aggregate_by', 'usage_groups') }} as line_key,
        sum(usage_groups.event_count) as event_count,
        cast(sum(usage_groups.charged_quantity) as decimal(38, 6)) as charged_quantity,
        cast(null as decimal(38, 6)) as highest_quantity,
        cast(null as decimal(38, 8)) as prorated_quantity,
        cast(null as decimal(38, 8)) as charged_amount,
        cast(null as {{ wide_integer() }}) as record_price_units,
        cast(null as {{ wide_integer() }}) as counted_price_units,
        usage_groups.partner_local_date as usage_date,
        {{ month_of('usage_groups.partner_local_date') }} as period_start_date
    from {{ ref('int_usage_aggregated') }} as usage_groups
    inner join plans
        on usage_groups.plan_id = plans.plan_id
    where
        usage_groups.charge_status = 'charged'
        and usage_groups.plan_id not in (select plans_by_record.plan_id from plans_by_record)
    group by
        usage_groups.partner_id,
        usage_groups.partner_agreement_id,
        usage_groups.plan_id,
        {{ line_key_of('plans.aggregate_by', 'usage_groups') }},
        usage_groups.partner_local_date
    union all
    select
        records.partner_id,
        records.partner_agreement_id,
        records.plan_id,
        records.line_key,
        count(*) as event_count,
        cast(sum(records.charged_quantity) as decimal(38, 6)) as charged_quantity,
        -- Of events the largest; of what is added and taken away the highest total.
        max(case when plans.prorates_quantity then records.running_quantity else records.charged_quantity end)
            as highest_quantity,
        cast(sum(records.prorated_quantity) as decimal(38, 8)) as prorated_quantity,
        cast(sum(records.charged_amount) as decimal(38, 8)) as charged_amount,
        cast(sum(records.record_price_units) as {{ wide_integer() }}) as record_price_units,
        cast(
            sum(case when records.counts_toward_commitment then records.record_price_units else 0 end)
            as {{ wide_integer() }}
        ) as counted_price_units,
        records.usage_date,
        records.period_start_date
    from records
    inner join plans
        on records.plan_id = plans.plan_id
    group by
        records.partner_id,
        records.partner_agreement_id,
        records.plan_id,
        records.line_key,
        records.usage_date,
        records.period_start_date

)

select * from usage_metered
