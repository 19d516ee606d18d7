-- One row per term row that cannot be applied, and why: nothing is rated or charged by it. What depends on
-- it is unrated or uncharged with a reason of its own; everything else settles.
with

parties as (

    select * from {{ ref('stg_terms__parties') }}

),

accounts as (

    select * from {{ ref('stg_terms__accounts') }}

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}

),

rating_terms as (

    select * from {{ ref('stg_terms__rating_terms') }}

),

tolerances as (

    select * from {{ ref('stg_terms__tolerances') }}

),

plans as (

    select * from {{ ref('stg_terms__plans') }}

),

plan_tiers as (

    select * from {{ ref('stg_terms__plan_tiers') }}

),

plan_options as (

    select * from {{ ref('stg_terms__plan_options') }}

),

regions as (

    select * from {{ ref('stg_terms__regions') }}

),

-- The plans as wholes: rows that are right one by one may contradict each other.
plans_resolved as (

    select * from {{ ref('int_plans_resolved') }}

),

revenue_shares as (

    select * from {{ ref('stg_terms__revenue_shares') }}

),

revenue_share_tiers as (

    select * from {{ ref('stg_terms__revenue_share_tiers') }}

),

participation_rules as (

    select * from {{ ref('stg_terms__participation_rules') }}

),

routes as (

    select * from {{ ref('stg_terms__routes') }}

),

destination_codes as (

    select * from {{ ref('stg_terms__destination_codes') }}

),

-- Named as the row of its file says it.
carrier_fees as (

    select
        *,
        coalesce(agreement_id, '?') || ' ' || coalesce(fee_name, '?')
        || case when service is null then '' else ' ' || service end
        || case when direction is null then '' else ' ' || direction end
        || case when country_code is null then '' else ' ' || country_code end
        || case when mcc is null then '' else ' ' || mcc end
        || case when mnc is null then '' else ' ' || mnc end
        || case when number_type is null then '' else ' ' || number_type end as term_id
    from {{ ref('stg_terms__carrier_fees') }}

),

numbers as (

    select * from {{ ref('stg_terms__numbers') }}

),

known_parties as (

    select party_id from parties
    where party_id is not null

),

known_partners as (

    select party_id from parties
    where party_id is not null and is_partner

),

known_carriers as (

    select party_id from parties
    where party_id is not null and is_carrier

),

known_agreements as (

    select agreement_id from agreements
    where agreement_id is not null

),

known_carrier_agreements as (

    select agreement_id from agreements
    where agreement_id is not null and party_role = 'carrier'

),

known_share_rules as (

    select rule_id from revenue_shares
    where rule_id is not null

),

known_plans as (

    select plan_id from plans
    where plan_id is not null

),

rows_refused as (

    select
        'parties' as terms_table,
        coalesce(party_id, '?') as term_id,
        refusal_reason
    from parties
    where refusal_reason is not null
    union all
    select
        'accounts' as terms_table,
        coalesce(account_id, '?') as term_id,
        refusal_reason
    from accounts
    where refusal_reason is not null
    union all
    select
        'agreements' as terms_table,
        coalesce(agreement_id, '?') as term_id,
        refusal_reason
    from agreements
    where refusal_reason is not null
    union all
    select
        'rating_terms' as terms_table,
        coalesce(agreement_id, '?') || ' ' || coalesce(service, '?') || ' ' || coalesce(direction, '?')
            as term_id,
        refusal_reason
    from rating_terms
    where refusal_reason is not null
    union all
    select
        'tolerances' as terms_table,
        coalesce(agreement_id, '?') || ' ' || cause as term_id,
        refusal_reason
    from tolerances
    where refusal_reason is not null
    union all
    select
        'plans' as terms_table,
        coalesce(plan_id, '?') as term_id,
        refusal_reason
    from plans_resolved
    where refusal_reason is not null
    union all
    select
        'plan_options' as terms_table,
        coalesce(plan_id, '?') || ' ' || coalesce(option_name, '?') as term_id,
        refusal_reason
    from plan_options
    where refusal_reason is not null
    union all
    select
        'plan_tiers' as terms_table,
        coalesce(plan_id, '?') || ' tier ' || coalesce(cast(tier_number as string), '?') as term_id,
        refusal_reason
    from plan_tiers
    where refusal_reason is not null
    union all
    select
        'revenue_shares' as terms_table,
        coalesce(rule_id, '?') || ' ' || coalesce(beneficiary_partner_id, participant_role, '?') as term_id,
        refusal_reason
    from revenue_shares
    where refusal_reason is not null
    union all
    select
        'revenue_share_tiers' as terms_table,
        coalesce(rule_id, '?') || ' tier ' || coalesce(cast(tier_number as string), '?') as term_id,
        refusal_reason
    from revenue_share_tiers
    where refusal_reason is not null
    union all
    select
        'participation_rules' as terms_table,
        coalesce(participation_id, '?') as term_id,
        refusal_reason
    from participation_rules
    where refusal_reason is not null
    union all
    select
        'routes' as terms_table,
        coalesce(feed, '?') || ' ' || coalesce(route, '?') as term_id,
        refusal_reason
    from routes
    where refusal_reason is not null
    union all
    select
        'regions' as terms_table,
        coalesce(region, '?') || ' ' || coalesce(country_code, '?') as term_id,
        refusal_reason
    from regions
    where refusal_reason is not null
    union all
    select
        'bank_accounts' as terms_table,
        coalesce(party_id, '?') || ' ' || coalesce(currency, '?') as term_id,
        refusal_reason
    from {{ ref('stg_terms__bank_accounts') }}
    where refusal_reason is not null
    union all
    select
        'netting_agreements' as terms_table,
        coalesce(party_id, '?') as term_id,
        refusal_reason
    from {{ ref('stg_terms__netting_agreements') }}
    where refusal_reason is not null
    union all
    select
        'chart_of_accounts' as terms_table,
        coalesce(account, '?') as term_id,
        refusal_reason
    from {{ ref('stg_terms__chart_of_accounts') }}
    where refusal_reason is not null
    union all
    select
        'invoice_parties' as terms_table,
        coalesce(party_id, '?') as term_id,
        refusal_reason
    from {{ ref('stg_terms__invoice_parties') }}
    where refusal_reason is not null
    union all
    select
        'closing_limits' as terms_table,
        coalesce(currency, '?') as term_id,
        refusal_reason
    from {{ ref('stg_terms__closing_limits') }}
    where refusal_reason is not null
    union all
    select
        'destination_codes' as terms_table,
        coalesce(carrier_id, '?')
        || ' ' || coalesce(destination_name, '?')
        || ' ' || coalesce(dial_code, '?') as term_id,
        refusal_reason
    from destination_codes
    where refusal_reason is not null
    union all
    select
        'carrier_fees' as terms_table,
        term_id,
        refusal_reason
    from carrier_fees
    where refusal_reason is not null
    union all
    select
        'numbers' as terms_table,
        coalesce(number, '?') as term_id,
        refusal_reason
    from numbers
    where refusal_reason is not null

),

references_missing as (

    select
        'accounts' as terms_table,
        coalesce(account_id, '?') as term_id,
        'party_unknown' as refusal_reason
    from accounts
    where partner_id not in (select known_partners.party_id from known_partners)
    union all
    select
        'agreements' as terms_table,
        coalesce(agreement_id, '?') as term_id,
        'party_unknown' as refusal_reason
    from agreements
    where party_id not in (select known_parties.party_id from known_parties)
    union all
    select
        'rating_terms' as terms_table,
        coalesce(agreement_id, '?') || ' ' || coalesce(service, '?') || ' ' || coalesce(direction, '?')
            as term_id,
        'agreement_unknown' as refusal_reason
    from rating_terms
    where agreement_id not in (select known_agreements.agreement_id from known_agreements)
    union all
    select
        'tolerances' as terms_table,
        coalesce(agreement_id, '?') || ' ' || cause as term_id,
        'agreement_unknown' as refusal_reason
    from tolerances
    where agreement_id not in (select known_agreements.agreement_id from known_agreements)
    union all
    select
        'plans' as terms_table,
        coalesce(plan_id, '?') as term_id,
        'party_unknown' as refusal_reason
    from plans
    where partner_id not in (select known_partners.party_id from known_partners)
    union all
    select
        'plan_tiers' as terms_table,
        coalesce(plan_id, '?') || ' tier ' || coalesce(cast(tier_number as string), '?') as term_id,
        'plan_unknown' as refusal_reason
    from plan_tiers
    where plan_id not in (select known_plans.plan_id from known_plans)
    union all
    select
        'plan_options' as terms_table,
        coalesce(plan_id, '?') || ' ' || coalesce(option_name, '?') as term_id,
        'plan_unknown' as refusal_reason
    from plan_options
    where plan_id not in (select known_plans.plan_id from known_plans)
    union all
    select
        'revenue_shares' as terms_table,
        coalesce(rule_id, '?') || ' ' || coalesce(beneficiary_partner_id, participant_role, '?') as term_id,
        'party_unknown' as refusal_reason
    from revenue_shares
    where
        beneficiary_partner_id not in (select known_partners.party_id from known_partners)
        or seller_partner_id not in (select known_partners.party_id from known_partners)
    union all
    select
        'revenue_share_tiers' as terms_table,
        coalesce(rule_id, '?') || ' tier ' || coalesce(cast(tier_number as string), '?') as term_id,
        'rule_unknown' as refusal_reason
    from revenue_share_tiers
    where rule_id not in (select known_share_rules.rule_id from known_share_rules)
    union all
    select
        'participation_rules' as terms_table,
        coalesce(participation_id, '?') as term_id,
        'party_unknown' as refusal_reason
    from participation_rules
    where
        participant_partner_id not in (select known_partners.party_id from known_partners)
        or seller_partner_id not in (select known_partners.party_id from known_partners)
        or carrier_id not in (select known_carriers.party_id from known_carriers)
    union all
    select
        'routes' as terms_table,
        coalesce(feed, '?') || ' ' || coalesce(route, '?') as term_id,
        'party_unknown' as refusal_reason
    from routes
    where carrier_id not in (select known_carriers.party_id from known_carriers)
    union all
    select
        'destination_codes' as terms_table,
        coalesce(carrier_id, '?') || ' ' || coalesce(destination_name, '?') as term_id,
        'party_unknown' as refusal_reason
    from destination_codes
    where carrier_id != '*' and carrier_id not in (select known_carriers.party_id from known_carriers)
    union all
    select
        'carrier_fees' as terms_table,
        term_id,
        'agreement_unknown' as refusal_reason
    from carrier_fees
    where
        agreement_id not in (
            select known_carrier_agreements.agreement_id from known_carrier_agreements
        )
    union all
    select
        'numbers' as terms_table,
        coalesce(number, '?') as term_id,
        'party_unknown' as refusal_reason
    from numbers
    where carrier_id not in (select known_carriers.party_id from known_carriers)

)

select distinct
    terms_table,
    term_id,
    refusal_reason
from rows_refused
union
select distinct
    terms_table,
    term_id,
    refusal_reason
from references_missing
