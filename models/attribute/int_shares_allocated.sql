-- One row per transaction group (a seller's revenue of one service and billing month), rule and beneficiary.
-- A rule's parts come from largest remainder at the minor unit, so they add up to what the rule shares.
with

revenue as (

    select
        billing_period_id,
        partner_id as seller_partner_id,
        partner_agreement_id,
        service,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        period_start_date,
        cast(sum(charge_amount) as {{ exact_amount() }}) as gross_amount
    from {{ ref('int_charges_priced') }}
    -- A fee that no usage stands behind is nobody's share of a service.
    where not coalesce(is_without_usage, false)
    group by
        billing_period_id, partner_id, partner_agreement_id, service, charge_currency, rounding_mode,
        line_rounding_decimals, period_start_date

),

share_rules as (

    select * from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null

),

rules_applied as (

    select
        revenue.billing_period_id || ':' || revenue.service as transaction_group_id,
        revenue.*,
        share_rules.rule_id,
        share_rules.beneficiary_partner_id,
        share_rules.share_ratio,
        -- All rules of a group are rounded together: rounded one by one they could give away more than there
        -- is.
        sum(share_rules.share_ratio) over (
            partition by revenue.billing_period_id, revenue.service
        ) as group_share_ratio
    from revenue
    inner join share_rules
        on
            revenue.seller_partner_id = share_rules.seller_partner_id
            and revenue.service = share_rules.service
            and revenue.period_start_date >= share_rules.valid_from_date
            and revenue.period_start_date < share_rules.valid_until_date

),

shares_rounded as (

    select
        *,
        {{ round_money(
            multiply_exactly('gross_amount', 'group_share_ratio'), 'line_rounding_decimals', 'rounding_mode'
        ) }} as group_shared_amount
    from rules_applied

),

shares_allocated as (

    {{ allocate(
        source='shares_rounded', total='group_shared_amount', weight='share_ratio',
        group_by='transaction_group_id', tie_break='rule_id, beneficiary_partner_id',
        decimals='line_rounding_decimals', into='allocated_amount'
    ) }}

)

select
    transaction_group_id || ':' || rule_id || ':' || beneficiary_partner_id as allocation_id,
    transaction_group_id,
    billing_period_id,
    rule_id,
    seller_partner_id,
    partner_agreement_id,
    beneficiary_partner_id,
    service,
    charge_currency as share_currency,
    share_ratio,
    gross_amount,
    cast(sum(allocated_amount) over (partition by transaction_group_id, rule_id) as {{ exact_amount() }})
        as shared_amount,
    allocated_amount,
    period_start_date
from shares_allocated
