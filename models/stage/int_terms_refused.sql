-- One row per term row that cannot be applied, and why: nothing is rated or charged by it. What depends on it is unrated
-- or uncharged with a reason of its own; everything else settles.
with

rows_refused as (

    select
        'parties' as terms_table,
        party_id as term_id,
        refusal_reason
    from {{ ref('stg_terms__parties') }}
    where refusal_reason is not null
    union all
    select
        'accounts' as terms_table,
        account_id as term_id,
        refusal_reason
    from {{ ref('stg_terms__accounts') }}
    where refusal_reason is not null
    union all
    select
        'agreements' as terms_table,
        agreement_id as term_id,
        refusal_reason
    from {{ ref('stg_terms__agreements') }}
    where refusal_reason is not null
    union all
    select
        'rating_terms' as terms_table,
        agreement_id || ' ' || service || ' ' || direction as term_id,
        refusal_reason
    from {{ ref('stg_terms__rating_terms') }}
    where refusal_reason is not null
    union all
    select
        'tolerances' as terms_table,
        agreement_id || ' ' || cause as term_id,
        refusal_reason
    from {{ ref('stg_terms__tolerances') }}
    where refusal_reason is not null
    union all
    select
        'plans' as terms_table,
        plan_id as term_id,
        refusal_reason
    from {{ ref('stg_terms__plans') }}
    where refusal_reason is not null
    union all
    select
        'plan_tiers' as terms_table,
        plan_id || ' tier ' || coalesce(cast(tier_number as varchar), '?') as term_id,
        refusal_reason
    from {{ ref('stg_terms__plan_tiers') }}
    where refusal_reason is not null
    union all
    select
        'revenue_shares' as terms_table,
        rule_id || ' ' || beneficiary_partner_id as term_id,
        refusal_reason
    from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is not null

),

references_missing as (

    select
        'accounts' as terms_table,
        account_id as term_id,
        'party_unknown' as refusal_reason
    from {{ ref('stg_terms__accounts') }}
    where partner_id not in (select party_id from {{ ref('stg_terms__parties') }} where is_partner)
    union all
    select
        'agreements' as terms_table,
        agreement_id as term_id,
        'party_unknown' as refusal_reason
    from {{ ref('stg_terms__agreements') }}
    where party_id not in (select party_id from {{ ref('stg_terms__parties') }})
    union all
    select
        'rating_terms' as terms_table,
        agreement_id || ' ' || service || ' ' || direction as term_id,
        'agreement_unknown' as refusal_reason
    from {{ ref('stg_terms__rating_terms') }}
    where agreement_id not in (select agreement_id from {{ ref('stg_terms__agreements') }})
    union all
    select
        'tolerances' as terms_table,
        agreement_id || ' ' || cause as term_id,
        'agreement_unknown' as refusal_reason
    from {{ ref('stg_terms__tolerances') }}
    where agreement_id not in (select agreement_id from {{ ref('stg_terms__agreements') }})
    union all
    select
        'plans' as terms_table,
        plan_id as term_id,
        'party_unknown' as refusal_reason
    from {{ ref('stg_terms__plans') }}
    where partner_id not in (select party_id from {{ ref('stg_terms__parties') }} where is_partner)
    union all
    select
        'plan_tiers' as terms_table,
        plan_id || ' tier ' || coalesce(cast(tier_number as varchar), '?') as term_id,
        'plan_unknown' as refusal_reason
    from {{ ref('stg_terms__plan_tiers') }}
    where plan_id not in (select plan_id from {{ ref('stg_terms__plans') }})
    union all
    select
        'plans' as terms_table,
        plan_id as term_id,
        'plan_without_tiers' as refusal_reason
    from {{ ref('stg_terms__plans') }}
    where plan_id not in (select plan_id from {{ ref('stg_terms__plan_tiers') }})
    union all
    select
        'revenue_shares' as terms_table,
        rule_id || ' ' || beneficiary_partner_id as term_id,
        'party_unknown' as refusal_reason
    from {{ ref('stg_terms__revenue_shares') }}
    where
        beneficiary_partner_id not in (select party_id from {{ ref('stg_terms__parties') }} where is_partner)
        or seller_partner_id not in (select party_id from {{ ref('stg_terms__parties') }} where is_partner)

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
