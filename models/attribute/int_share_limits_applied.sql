-- One row per share rule with a floor or a cap, beneficiary, month of charges and month of posting: what the
-- limit adds or takes away. It is reckoned once, of what the rule gives of all transaction groups of the
-- month before refunds, whatever agreements the month has, each of which posts its part; refunds take back
-- the same part of it as of the shares.
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
        given.share_row_id,
        given.rule_id,
        given.beneficiary_partner_id,
        given.participant_role,
        given.step,
        given.seller_partner_id,
        given.service,
        given.origin_agreement_id,
        given.partner_agreement_id,
        given.billing_period_id,
        given.charge_currency,
        given.rounding_mode,
        given.line_rounding_decimals,
        cast(sum(given.allocated_amount) as {{ exact_amount() }}) as allocated_amount,
        cast(sum(coalesce(given.original_amount, 0)) as {{ exact_amount() }}) as original_amount,
        cast(sum(given.gross_amount) as {{ exact_amount() }}) as gross_amount,
        cast(sum(coalesce(given.original_gross_amount, 0)) as {{ exact_amount() }}) as original_gross_amount,
        given.origin_period_date,
        given.period_start_date
    from {{ ref('int_shares_rounded') }} as given
    inner join limits
        on given.share_row_id = limits.share_row_id
    group by
        given.share_row_id, given.rule_id, given.beneficiary_partner_id, given.participant_role, given.step,
        given.seller_partner_id, given.service, given.origin_agreement_id, given.partner_agreement_id,
        given.billing_period_id, given.charge_currency, given.rounding_mode, given.line_rounding_decimals,
        given.origin_period_date, given.period_start_date

),

shares_left as (

    select
        *,
        cast(sum(original_amount) over month_of_charges as {{ exact_amount() }}) as original_share_amount,
        cast(sum(allocated_amount) over up_to_then as {{ exact_amount() }}) as left_share_amount,
        cast(sum(original_gross_amount) over month_of_charges as {{ exact_amount() }}) as whole_gross_amount,
        cast(sum(gross_amount) over up_to_then as {{ exact_amount() }}) as left_gross_amount
    from shares_summed
    window
        month_of_charges as (
            partition by share_row_id, beneficiary_partner_id, charge_currency, origin_period_date
        ),
        up_to_then as (
            partition by share_row_id, beneficiary_partner_id, charge_currency, origin_period_date
            order by period_start_date, billing_period_id, origin_agreement_id
            rows between unbounded preceding and current row
        )

),

-- What part of the shares is left; where the rule gives none, what part of the charges.
parts_left as (

    select
        *,
        case when original_share_amount = 0 then whole_gross_amount else original_share_amount end
            as whole_amount,
        case when original_share_amount = 0 then left_gross_amount else left_share_amount end as left_amount
    from shares_left

),

limits_met as (

    select
        parts_left.*,
        case
            when parts_left.original_share_amount < 0 then 0
            when parts_left.original_share_amount > limits.cap_amount
                then
                    {{ round_money(
                        'limits.cap_amount', 'parts_left.line_rounding_decimals', 'parts_left.rounding_mode'
                    ) }}
                    - parts_left.original_share_amount
            when parts_left.original_share_amount < limits.floor_amount
                then
                    {{ round_money(
                        'limits.floor_amount', 'parts_left.line_rounding_decimals', 'parts_left.rounding_mode'
                    ) }}
                    - parts_left.original_share_amount
            else 0
        end as original_limit_amount
    from parts_left
    inner join limits
        on parts_left.share_row_id = limits.share_row_id

),

limits_left as (

    select
        *,
        case
            when left_amount = whole_amount or whole_amount = 0 then original_limit_amount
            else
                case when (left_amount < 0) = (whole_amount < 0) then 1 else -1 end
                * {{ scale_money(
                    'original_limit_amount', 'abs(left_amount)', 'abs(whole_amount)',
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
                partition by share_row_id, beneficiary_partner_id, charge_currency, origin_period_date
                order by period_start_date, billing_period_id, origin_agreement_id
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
