-- One row per share rule with a floor or a cap, beneficiary, month of charges and month in which it is posted:
-- what the limit adds or takes away. It is reckoned once, of what the rule gives of all transaction groups of
-- the month before refunds; refunds take back the same part of it as of the shares.
with

limits as (

    select
        share_row_id,
        floor_amount,
        cap_amount
    from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null and coalesce(floor_amount, cap_amount) is not null

),

shares_summed as (

    select
        shares.share_row_id,
        shares.rule_id,
        shares.beneficiary_partner_id,
        shares.participant_role,
        shares.step,
        shares.seller_partner_id,
        shares.service,
        shares.origin_agreement_id,
        shares.partner_agreement_id,
        shares.billing_period_id,
        shares.charge_currency,
        shares.rounding_mode,
        shares.line_rounding_decimals,
        cast(sum(shares.allocated_amount) as {{ exact_amount() }}) as allocated_amount,
        cast(sum(coalesce(shares.original_amount, 0)) as {{ exact_amount() }}) as original_amount,
        shares.origin_period_date,
        shares.period_start_date
    from {{ ref('int_shares_rounded') }} as shares
    inner join limits
        on shares.share_row_id = limits.share_row_id
    group by
        shares.share_row_id, shares.rule_id, shares.beneficiary_partner_id, shares.participant_role, shares.step,
        shares.seller_partner_id, shares.service, shares.origin_agreement_id, shares.partner_agreement_id,
        shares.billing_period_id, shares.charge_currency, shares.rounding_mode, shares.line_rounding_decimals,
        shares.origin_period_date, shares.period_start_date

),

shares_left as (

    select
        *,
        cast(sum(original_amount) over (
            partition by share_row_id, beneficiary_partner_id, origin_agreement_id, origin_period_date
        ) as {{ exact_amount() }}) as original_share_amount,
        cast(sum(allocated_amount) over (
            partition by share_row_id, beneficiary_partner_id, origin_agreement_id, origin_period_date
            order by period_start_date, billing_period_id
            rows between unbounded preceding and current row
        ) as {{ exact_amount() }}) as left_share_amount
    from shares_summed

),

limits_met as (

    select
        shares_left.*,
        case
            when shares_left.original_share_amount < 0 then 0
            when shares_left.original_share_amount > limits.cap_amount
                then
                    {{ round_money('limits.cap_amount', 'shares_left.line_rounding_decimals', 'shares_left.rounding_mode') }}
                    - shares_left.original_share_amount
            when shares_left.original_share_amount < limits.floor_amount
                then
                    {{ round_money('limits.floor_amount', 'shares_left.line_rounding_decimals', 'shares_left.rounding_mode') }}
                    - shares_left.original_share_amount
            else 0
        end as original_limit_amount
    from shares_left
    inner join limits
        on shares_left.share_row_id = limits.share_row_id

),

limits_left as (

    select
        *,
        case
            when left_share_amount = original_share_amount or original_share_amount = 0
                then original_limit_amount
            else
                case when left_share_amount < 0 then -1 else 1 end
                * {{ scale_money(
                    'original_limit_amount', 'abs(left_share_amount)', 'original_share_amount',
                    'line_rounding_decimals', "'half_up'", 6
                ) }}
        end as left_limit_amount
    from limits_met
    where original_limit_amount != 0

),

limits_posted as (

    select
        *,
        left_limit_amount - coalesce(
            lag(left_limit_amount) over (
                partition by share_row_id, beneficiary_partner_id, origin_agreement_id, origin_period_date
                order by period_start_date, billing_period_id
            ), 0
        ) as allocated_amount_of_limit
    from limits_left

),

share_limits_applied as (

    select
        share_row_id,
        rule_id,
        beneficiary_partner_id,
        participant_role,
        step,
        seller_partner_id,
        service,
        origin_agreement_id,
        partner_agreement_id,
        billing_period_id,
        charge_currency,
        case when original_limit_amount < 0 then 'cap' else 'floor' end as allocation_type,
        allocated_amount_of_limit as allocated_amount,
        origin_period_date,
        period_start_date
    from limits_posted
    where allocated_amount_of_limit != 0

)

select * from share_limits_applied
