-- One row per event that says more of who shares in it than its account and day do: the participants that a
-- feed names, or the event that it refunds. A refund belongs to the participants, the day and the agreement
-- of what it refunds. Events of which nothing is said have no row.
with

participants as (

    select
        event_id,
        {{ texts_joined(participant_named('participant_role', "coalesce(participant_partner_id, '')")) }}
            as stated_participants
    from {{ ref('int_participants_stated') }}
    group by event_id

),

refunds as (

    select
        event_id,
        refunded_event_id
    from {{ ref('int_events_deduplicated') }}
    where refunded_event_id is not null

),

events as (

    select * from {{ ref('int_refunds_attributed') }}

),

refunds_traced as (

    select
        refunds.event_id,
        refunds.refunded_event_id,
        refunded.account_id as refunded_account_id,
        refunded.partner_agreement_id as refunded_agreement_id,
        refunded.direction as refunded_direction,
        refunded.country_code as refunded_country_code,
        refunded.carrier_id as refunded_carrier_id,
        refunded.charged_amount as refunded_amount,
        refunded.partner_local_date as refunded_date,
        case when own.is_charged then -own.charged_amount else 0 end as refund_amount,
        own.started_at,
        case
            when refunded.event_id is null then 'refunded_event_unknown'
            when refunded.refunded_event_id is not null then 'refund_of_a_refund'
            when not refunded.is_charged then 'refunded_event_uncharged'
            when refunded.partner_id != own.partner_id then 'refund_of_another_partner'
            when refunded.charge_currency != own.charge_currency then 'refund_in_another_currency'
            when refunded.service != own.service then 'refund_of_another_service'
        end as refusal_reason
    from refunds
    left join events as own
        on refunds.event_id = own.event_id
    left join events as refunded
        on refunds.refunded_event_id = refunded.event_id

),

refunds_summed as (

    select
        *,
        sum(case when refusal_reason is null then refund_amount else 0 end) over (
            partition by refunded_event_id order by started_at, event_id
            rows between unbounded preceding and current row
        ) as refunded_so_far
    from refunds_traced

),

-- The refund that takes more than there was to refund, and those after it.
refunds_judged as (

    select
        *,
        case
            when refusal_reason is not null then refusal_reason
            when refunded_so_far > greatest(refunded_amount, 0) then 'refund_exceeds_charge'
        end as judged_reason
    from refunds_summed

),

transactions_marked as (

    select
        refunds_judged.event_id,
        refunds_judged.refunded_event_id,
        refunds_judged.refunded_account_id,
        refunds_judged.refunded_agreement_id,
        refunds_judged.refunded_direction,
        refunds_judged.refunded_country_code,
        refunds_judged.refunded_carrier_id,
        participants.stated_participants,
        refunds_judged.judged_reason as refusal_reason,
        refunds_judged.refunded_date
    from refunds_judged
    left join participants
        on refunds_judged.refunded_event_id = participants.event_id
    union all
    select
        event_id,
        null as refunded_event_id,
        null as refunded_account_id,
        null as refunded_agreement_id,
        null as refunded_direction,
        null as refunded_country_code,
        null as refunded_carrier_id,
        stated_participants,
        null as refusal_reason,
        null as refunded_date
    from participants
    where event_id not in (select refunds.event_id from refunds)

)

select * from transactions_marked
