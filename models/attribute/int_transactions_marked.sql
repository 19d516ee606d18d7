-- One row per event that says more of who shares in it than its account and day do: the participants that a
-- feed names, or the event that it refunds. A refund belongs to the participants, the day and the agreement
-- of what it refunds. Events of which nothing is said have no row.
with

participants as (

    select
        event_id,
        {{ texts_joined(participant_named('participant_role', 'participant_partner_id')) }}
            as stated_participants
    from {{ ref('int_participants_collected') }}
    where refusal_reason is null
    group by event_id

),

refunds as (

    select
        event_id,
        refunded_event_id
    from {{ ref('int_events_deduplicated') }}
    where refunded_event_id is not null

),

-- Looked for among all events: these are millions, refunds are few.
events_refunded as (

    select
        event_id,
        account_id,
        started_at
    from {{ ref('int_events_rated') }}
    where event_id in (select refunds.refunded_event_id from refunds)

),

accounts as (

    select * from {{ ref('stg_terms__accounts') }}
    where refusal_reason is null

),

agreements as (

    select * from {{ ref('int_agreements_resolved') }}
    where party_role = 'partner'

),

refunds_traced as (

    select
        refunds.event_id,
        refunds.refunded_event_id,
        events.account_id as refunded_account_id,
        accounts.partner_id as refunded_partner_id,
        agreements.agreement_id as refunded_agreement_id,
        agreements.currency as refunded_currency,
        cast({{ to_local('events.started_at', "coalesce(agreements.time_zone, 'UTC')") }} as date)
            as refunded_date,
        case
            when events.event_id is null then 'refunded_event_unknown'
            when refunds_themselves.event_id is not null then 'refund_of_a_refund'
            when agreements.agreement_id is null then 'refunded_event_uncharged'
        end as refusal_reason
    from refunds
    left join refunds as refunds_themselves
        on refunds.refunded_event_id = refunds_themselves.event_id
    left join events_refunded as events
        on refunds.refunded_event_id = events.event_id
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

transactions_marked as (

    select
        refunds_traced.event_id,
        refunds_traced.refunded_event_id,
        refunds_traced.refunded_account_id,
        refunds_traced.refunded_partner_id,
        refunds_traced.refunded_agreement_id,
        refunds_traced.refunded_currency,
        participants.stated_participants,
        refunds_traced.refusal_reason,
        refunds_traced.refunded_date
    from refunds_traced
    left join participants
        on refunds_traced.refunded_event_id = participants.event_id
    union all
    select
        event_id,
        null as refunded_event_id,
        null as refunded_account_id,
        null as refunded_partner_id,
        null as refunded_agreement_id,
        null as refunded_currency,
        stated_participants,
        null as refusal_reason,
        null as refunded_date
    from participants
    where event_id not in (select refunds.event_id from refunds)

)

select * from transactions_marked
