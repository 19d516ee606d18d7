-- One row per event, role and participant that feeds name, to be used. Where one of those named for a role
-- cannot be, nobody has the role for the event (no participant): what rules give it to others is not what
-- somebody said of this event.
with

participants as (

    select
        event_id,
        participant_role,
        participant_partner_id,
        max(case when refusal_reason is null then 0 else 1 end) over (
            partition by event_id, participant_role
        ) = 1 as is_role_refused
    from {{ ref('int_participants_collected') }}
    where
        event_id is not null
        and participant_role is not null
        and {{ is_role('participant_role') }}
        and coalesce(refusal_reason, '') != 'participant_repeated'

),

participants_stated as (

    select distinct
        event_id,
        participant_role,
        case when not is_role_refused then participant_partner_id end as participant_partner_id
    from participants

)

select * from participants_stated
