-- One row per event with the partner whose account it ran on, the plan that charges it and the quantity
-- charged, or the reason why nobody is charged. What a partner pays does not depend on the carrier, so
-- unrated events are charged too.
with

events as (

    select
        event_id,
        service,
        direction,
        account_id,
        country_code,
        event_status,
        quantity_unit,
        quantity,
        started_at
    from {{ ref('int_events_rated') }}

),

accounts as (

    select * from {{ ref('stg_terms__accounts') }}
    where refusal_reason is null

),

agreements as (

    select
        agreement_id,
        party_id,
        time_zone,
        {{ to_instant('valid_from_date', 'time_zone') }} as valid_from_at,
        {{ to_instant('valid_until_date', 'time_zone') }} as valid_until_at
    from {{ ref('stg_terms__agreements') }}
    where party_role = 'partner' and refusal_reason is null

),

-- A plan with a broken tier is no plan: a hole in its tiers would charge part of the usage unseen.
tiers_counted as (

    select
        plan_id,
        count(refusal_reason) as refused_tier_count
    from {{ ref('stg_terms__plan_tiers') }}
    group by plan_id

),

plans as (

    select terms.*
    from {{ ref('stg_terms__plans') }} as terms
    inner join tiers_counted
        on terms.plan_id = tiers_counted.plan_id
    where terms.refusal_reason is null and tiers_counted.refused_tier_count = 0

),

events_with_partners as (

    select
        events.*,
        accounts.partner_id,
        agreements.agreement_id as partner_agreement_id,
        cast({{ to_local('events.started_at', "coalesce(agreements.time_zone, 'UTC')") }} as date)
            as partner_local_date
    from events
    left join accounts
        on
            events.account_id = accounts.account_id
            and cast(events.started_at as date) >= accounts.valid_from_date
            and cast(events.started_at as date) < accounts.valid_until_date
    left join agreements
        on
            accounts.partner_id = agreements.party_id
            and events.started_at >= agreements.valid_from_at
            and events.started_at < agreements.valid_until_at

),

-- From the specific to the general: the plan of the destination's country, else the plan of every country.
plans_chosen as (

    select
        events_with_partners.*,
        coalesce(country_plans.plan_id, general_plans.plan_id) as plan_id,
        coalesce(country_plans.charged_on, general_plans.charged_on) as charged_on,
        coalesce(country_plans.quantity_unit, general_plans.quantity_unit) as plan_quantity_unit,
        coalesce(country_plans.minimum_quantity, general_plans.minimum_quantity) as minimum_quantity,
        coalesce(country_plans.increment_quantity, general_plans.increment_quantity) as increment_quantity
    from events_with_partners
    left join plans as country_plans
        on
            events_with_partners.partner_id = country_plans.partner_id
            and events_with_partners.service = country_plans.service
            and events_with_partners.direction = country_plans.direction
            and events_with_partners.country_code = country_plans.country_code
            and events_with_partners.partner_local_date >= country_plans.valid_from_date
            and events_with_partners.partner_local_date < country_plans.valid_until_date
    left join plans as general_plans
        on
            events_with_partners.partner_id = general_plans.partner_id
            and events_with_partners.service = general_plans.service
            and events_with_partners.direction = general_plans.direction
            and general_plans.country_code = '*'
            and events_with_partners.partner_local_date >= general_plans.valid_from_date
            and events_with_partners.partner_local_date < general_plans.valid_until_date

),

statuses_given as (

    select
        *,
        case
            when partner_id is null then 'unknown_account'
            when partner_agreement_id is null then 'no_agreement'
            when plan_id is null then 'no_plan'
            when plan_quantity_unit != quantity_unit then 'quantity_unit_differs'
        end as uncharged_reason,
        {{ is_charged('event_status', 'charged_on') }} as is_charged
    from plans_chosen

),

events_attributed as (

    select
        event_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        case
            when uncharged_reason is not null then 'uncharged'
            when is_charged then 'charged'
            else 'not_charged'
        end as charge_status,
        uncharged_reason,
        case
            when uncharged_reason is null and is_charged
                then {{ billed_quantity('quantity', 'minimum_quantity', 'increment_quantity', "'residual'") }}
            else cast(0 as decimal(18, 3))
        end as charged_quantity,
        partner_local_date
    from statuses_given

)

select * from events_attributed
