-- One row per kind of transaction (what rules of participation look at) and participant: who takes part
-- beside the seller, and as what, as far as a share rule of the seller asks for that role. Those that a feed
-- names for an event take the place of all that rules would give the role, also where it names nobody who can
-- be one.
{% set ways_to_apply = {
    'rules.seller_partner_id is not null': 'contexts.partner_id = rules.seller_partner_id',
    'rules.seller_partner_id is null and rules.account_id is not null': 'contexts.share_account_id = rules.account_id',
    'rules.seller_partner_id is null and rules.account_id is null': 'true',
} %}

with

contexts as (

    select distinct
        participation_context_id,
        partner_id,
        share_account_id,
        stated_participants,
        service,
        direction,
        country_code,
        carrier_id,
        rules_since_date
    from {{ ref('int_shared_usage_summed') }}

),

rules as (

    select * from {{ ref('stg_terms__participation_rules') }}
    where refusal_reason is null

),

roles_asked_for as (

    select distinct
        seller_partner_id,
        service,
        participant_role
    from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null and participant_role is not null

),

members_stated as (

    select distinct
        marks.stated_participants,
        participants.participant_role,
        participants.participant_partner_id
    from {{ ref('int_transactions_marked') }} as marks
    inner join {{ ref('int_participants_stated') }} as participants
        on coalesce(marks.refunded_event_id, marks.event_id) = participants.event_id
    where marks.stated_participants is not null

),

participants_stated as (

    select
        contexts.participation_context_id,
        members_stated.participant_role,
        members_stated.participant_partner_id
    from contexts
    inner join members_stated
        on contexts.stated_participants = members_stated.stated_participants

),

rules_applied as (

    {% for condition, key in ways_to_apply.items() %}
        select
            contexts.participation_context_id,
            rules.participant_role,
            rules.participant_partner_id,
            rules.priority,
            rules.is_exclusive
        from contexts
        inner join rules
            on
                {{ key }}
                and contexts.rules_since_date >= rules.valid_from_date
                and contexts.rules_since_date < rules.valid_until_date
                {% for column, term in [
                    ('share_account_id', 'account_id'), ('service', 'service'), ('direction', 'direction'),
                    ('country_code', 'country_code'), ('carrier_id', 'carrier_id'),
                ] %}
                    and (rules.{{ term }} is null or contexts.{{ column }} = rules.{{ term }})
                {% endfor %}
        where {{ condition }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

rules_ranked as (

    select
        *,
        min(case when is_exclusive then priority end) over (
            partition by participation_context_id, participant_role
        ) as last_priority
    from rules_applied

),

participants_found as (

    select
        participation_context_id,
        participant_role,
        participant_partner_id
    from participants_stated
    where participant_partner_id is not null
    union
    select
        rules_ranked.participation_context_id,
        rules_ranked.participant_role,
        rules_ranked.participant_partner_id
    from rules_ranked
    left join participants_stated
        on
            rules_ranked.participation_context_id = participants_stated.participation_context_id
            and rules_ranked.participant_role = participants_stated.participant_role
    where
        rules_ranked.priority <= coalesce(rules_ranked.last_priority, rules_ranked.priority)
        and participants_stated.participation_context_id is null

),

-- What no share rule asks for would only keep apart what is shared alike.
participants_asked_for as (

    select
        participants_found.participation_context_id,
        participants_found.participant_role,
        participants_found.participant_partner_id
    from participants_found
    inner join contexts
        on participants_found.participation_context_id = contexts.participation_context_id
    inner join roles_asked_for
        on
            contexts.partner_id = roles_asked_for.seller_partner_id
            and contexts.service = roles_asked_for.service
            and participants_found.participant_role = roles_asked_for.participant_role

),

participants_named as (

    select
        participation_context_id,
        {{ texts_joined(participant_named('participant_role', 'participant_partner_id')) }} as participants
    from participants_asked_for
    group by participation_context_id

),

participants_resolved as (

    select
        participants_asked_for.participation_context_id,
        participants_asked_for.participant_role,
        participants_asked_for.participant_partner_id,
        participants_named.participants
    from participants_asked_for
    inner join participants_named
        on participants_asked_for.participation_context_id = participants_named.participation_context_id

)

select * from participants_resolved
