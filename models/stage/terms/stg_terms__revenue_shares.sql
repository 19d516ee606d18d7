with revenue_shares as (

    select
        trim(rule_id) as rule_id,
        trim(seller_partner_id) as seller_partner_id,
        trim(service) as service,
        trim(beneficiary_partner_id) as beneficiary_partner_id,
        try_cast(share_ratio as decimal(9, 6)) as share_ratio,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('revenue_shares') }}

),

concurrent_shares_summed as (

    -- What all rules of one seller and service take together on the day a row starts. A later row that tips
    -- the sum over the whole is refused; what held before goes on.
    select
        started.rule_id,
        started.seller_partner_id,
        started.service,
        started.beneficiary_partner_id,
        started.valid_from_date,
        sum(concurrent.share_ratio) as concurrent_share_ratio
    from revenue_shares as started
    inner join revenue_shares as concurrent
        on
            started.seller_partner_id = concurrent.seller_partner_id
            and started.service = concurrent.service
            and started.valid_from_date >= concurrent.valid_from_date
            and started.valid_from_date < concurrent.valid_until_date
    group by
        started.rule_id, started.seller_partner_id, started.service, started.beneficiary_partner_id,
        started.valid_from_date

),

neighbours_seen as (

    select
        revenue_shares.*,
        concurrent_shares_summed.concurrent_share_ratio,
        max(revenue_shares.valid_until_date) over (
            partition by
                revenue_shares.rule_id, revenue_shares.seller_partner_id, revenue_shares.service,
                revenue_shares.beneficiary_partner_id
            order by revenue_shares.valid_from_date nulls last, revenue_shares.valid_until_date
            rows between unbounded preceding and 1 preceding
        ) as previous_until_date
    from revenue_shares
    left join concurrent_shares_summed
        on
            revenue_shares.rule_id = concurrent_shares_summed.rule_id
            and revenue_shares.beneficiary_partner_id = concurrent_shares_summed.beneficiary_partner_id
            and revenue_shares.seller_partner_id = concurrent_shares_summed.seller_partner_id
            and revenue_shares.service = concurrent_shares_summed.service
            and revenue_shares.valid_from_date = concurrent_shares_summed.valid_from_date

)

select
    rule_id,
    seller_partner_id,
    service,
    beneficiary_partner_id,
    case
        when rule_id is null or seller_partner_id is null or beneficiary_partner_id is null
            then 'key_missing'
        when previous_until_date > valid_from_date then 'terms_overlap'
        when share_ratio is null or share_ratio <= 0 then 'share_ratio_unreadable'
        when concurrent_share_ratio > 1 then 'shares_exceed_the_whole'
        when valid_from_date is null or valid_until_date <= valid_from_date then 'validity_unreadable'
        when valid_until_text is not null and try_cast(valid_until_text as date) is null
            then 'validity_unreadable'
    end as refusal_reason,
    share_ratio,
    valid_from_date,
    valid_until_date
from neighbours_seen
