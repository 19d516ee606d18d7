-- One row per guarantee and month in which something of it is paid, recouped or outstanding. What the rule
-- gives in a month that is over and falls short of the guarantee is advanced; later months pay back out of
-- what they exceed it by. The balance of a month is what the shortfalls up to it add up to, counted from when
-- they last were nothing.
with

rules as (

    select * from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null and guarantee_amount is not null

),

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null and party_role = 'partner'

),

months as (

    select distinct
        partner_id,
        partner_agreement_id,
        is_over,
        period_start_date
    from {{ ref('int_plan_periods_derived') }}

),

-- Where the agreement changes within a month, the later one has its guarantees.
months_guaranteed as (

    select
        rules.rule_id,
        rules.seller_partner_id,
        rules.service,
        rules.beneficiary_partner_id,
        rules.share_row_id,
        rules.participant_role,
        rules.step,
        agreements.agreement_id as partner_agreement_id,
        agreements.agreement_id || ':' || {{ month_name_of('months.period_start_date') }}
            as billing_period_id,
        agreements.currency as charge_currency,
        {{ round_money(
            'rules.guarantee_amount', 'agreements.line_rounding_decimals', 'agreements.rounding_mode'
        ) }} as guarantee_amount,
        months.is_over,
        months.period_start_date
    from rules
    inner join months
        on
            rules.seller_partner_id = months.partner_id
            and rules.valid_from_date <= months.period_start_date
            and rules.valid_until_date > months.period_start_date
    inner join agreements
        on months.partner_agreement_id = agreements.agreement_id
    qualify row_number() over (
        partition by rules.share_row_id, months.period_start_date order by agreements.valid_from_date desc
    ) = 1

),

earned as (

    select
        rule_id,
        seller_partner_id,
        service,
        beneficiary_partner_id,
        participant_role,
        charge_currency,
        period_start_date,
        sum(allocated_amount) as earned_amount
    from (
        select
            rule_id,
            seller_partner_id,
            service,
            beneficiary_partner_id,
            participant_role,
            charge_currency,
            period_start_date,
            allocated_amount
        from {{ ref('int_shares_rounded') }}
        union all
        select
            rule_id,
            seller_partner_id,
            service,
            beneficiary_partner_id,
            participant_role,
            charge_currency,
            period_start_date,
            allocated_amount
        from {{ ref('int_share_limits_applied') }}
    ) as shares_and_limits
    group by
        rule_id, seller_partner_id, service, beneficiary_partner_id, participant_role, charge_currency,
        period_start_date

),

-- A month that may still grow has no shortfall yet.
shortfalls as (

    select
        months_guaranteed.*,
        coalesce(earned.earned_amount, 0) as earned_amount,
        case
            when months_guaranteed.is_over
                then months_guaranteed.guarantee_amount - coalesce(earned.earned_amount, 0)
            else least(months_guaranteed.guarantee_amount - coalesce(earned.earned_amount, 0), 0)
        end as shortfall_amount
    from months_guaranteed
    left join earned
        on
            months_guaranteed.rule_id = earned.rule_id
            and months_guaranteed.seller_partner_id = earned.seller_partner_id
            and months_guaranteed.service = earned.service
            and months_guaranteed.beneficiary_partner_id = earned.beneficiary_partner_id
            and coalesce(months_guaranteed.participant_role, '') = coalesce(earned.participant_role, '')
            and months_guaranteed.charge_currency = earned.charge_currency
            and months_guaranteed.period_start_date = earned.period_start_date

),

{% set guarantee -%}
    partition by
        rule_id, seller_partner_id, service, beneficiary_partner_id, participant_role, charge_currency
    order by period_start_date rows between unbounded preceding and current row
{%- endset %}

shortfalls_summed as (

    select
        *,
        sum(shortfall_amount) over ({{ guarantee }}) as summed_amount
    from shortfalls

),

balances as (

    select
        *,
        cast(summed_amount - least(min(summed_amount) over ({{ guarantee }}), 0) as {{ exact_amount() }})
            as balance_amount
    from shortfalls_summed

),

guarantees_balanced as (

    select
        rule_id,
        seller_partner_id,
        service,
        beneficiary_partner_id,
        share_row_id,
        participant_role,
        step,
        partner_agreement_id,
        billing_period_id,
        charge_currency,
        guarantee_amount,
        earned_amount,
        balance_amount,
        cast(
            balance_amount - coalesce(lag(balance_amount) over (
                partition by
                    rule_id, seller_partner_id, service, beneficiary_partner_id, participant_role,
                    charge_currency
                order by period_start_date
            ), 0) as {{ exact_amount() }}
        ) as allocated_amount,
        period_start_date
    from balances

)

select * from guarantees_balanced
