-- One row per transaction group, the charges of a seller's service, month and currency with the same
-- participants: what is shared of them. Refunds stand in the group of what they refund; where that is of
-- another month or agreement, the refunds of each month are a group of their own, which leads to it. The
-- charge of each plan is laid on the groups by their usage, or by their own money where the plan prices
-- single amounts, and what the service comes to in the month is rounded once: the groups add up to it at the
-- minor unit.
with

participants as (

    select distinct
        participation_context_id,
        participants
    from {{ ref('int_participants_resolved') }}

),

charges as (

    select
        partner_agreement_id,
        plan_id,
        service,
        billing_period_id,
        pricing_model,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        period_start_date,
        cast(sum(charge_amount) as {{ exact_amount() }}) as charge_amount
    from {{ ref('int_charges_priced') }}
    -- A fee that no usage stands behind is nobody's share of a service.
    where not is_without_usage
    group by
        partner_agreement_id, plan_id, service, billing_period_id, pricing_model, charge_currency,
        rounding_mode, line_rounding_decimals, period_start_date

),

plans as (

    select
        plan_id,
        discount_ratio
    from {{ ref('int_plans_resolved') }}
    where refusal_reason is null

),

usage_by_transaction as (

    select
        shared_usage.partner_id as seller_partner_id,
        shared_usage.partner_agreement_id,
        shared_usage.plan_id,
        shared_usage.service,
        coalesce(participants.participants, '') as participants,
        coalesce(shared_usage.refunded_agreement_id, shared_usage.partner_agreement_id)
            as origin_agreement_id,
        shared_usage.refunded_date is not null as is_refund,
        shared_usage.charged_quantity,
        shared_usage.credited_quantity,
        shared_usage.priced_amount,
        shared_usage.cost_amount,
        {{ month_of('coalesce(shared_usage.refunded_date, shared_usage.partner_local_date)') }}
            as origin_period_date,
        {{ month_of('shared_usage.partner_local_date') }} as period_start_date
    from {{ ref('int_shared_usage_summed') }} as shared_usage
    left join participants
        on shared_usage.participation_context_id = participants.participation_context_id

),

usage_of_plans as (

    select
        seller_partner_id,
        partner_agreement_id,
        plan_id,
        service,
        participants,
        origin_agreement_id,
        is_refund,
        origin_period_date,
        period_start_date,
        cast(sum(charged_quantity) as decimal(38, 6)) as charged_quantity,
        -- What is credited was not used.
        cast(sum(charged_quantity - credited_quantity) as decimal(38, 6)) as used_quantity,
        cast(
            sum(case when cost_amount is not null then charged_quantity - credited_quantity else 0 end)
            as decimal(38, 6)
        ) as costed_quantity,
        cast(sum(priced_amount) as {{ exact_amount() }}) as priced_amount,
        cast(sum(coalesce(cost_amount, 0)) as {{ exact_amount() }}) as cost_amount
    from usage_by_transaction
    group by
        seller_partner_id, partner_agreement_id, plan_id, service, participants, origin_agreement_id,
        is_refund, origin_period_date, period_start_date

),

-- Items of a plan of lines have their amounts already, less the discount: a refund has as much off as what it
-- refunds.
usage_of_groups as (

    select
        usage_of_plans.*,
        charges.billing_period_id,
        charges.charge_currency,
        charges.rounding_mode,
        charges.line_rounding_decimals,
        charges.charge_amount,
        charges.billing_period_id || ':' || usage_of_plans.service || ':' || charges.charge_currency
        || case when usage_of_plans.participants = '' then '' else ':' || usage_of_plans.participants end
        || case
            when
                usage_of_plans.origin_agreement_id = usage_of_plans.partner_agreement_id
                and usage_of_plans.origin_period_date = usage_of_plans.period_start_date
                then ''
            else
                ':refunds of ' || usage_of_plans.origin_agreement_id
                || ':' || {{ month_name_of('usage_of_plans.origin_period_date') }}
        end as transaction_group_id,
        case
            when charges.pricing_model != 'lines' then 0
            when plans.discount_ratio = 0 then usage_of_plans.priced_amount
            else {{ scale_money(
                'usage_of_plans.priced_amount', '1 - plans.discount_ratio', '1', 12, "'half_up'", 6
            ) }}
        end as own_amount,
        case
            when charges.pricing_model in ('lines', 'percentage', 'graduated_percentage')
                then usage_of_plans.priced_amount
            else 0
        end as weighing_amount
    from usage_of_plans
    inner join charges
        on
            usage_of_plans.partner_agreement_id = charges.partner_agreement_id
            and usage_of_plans.plan_id = charges.plan_id
            and usage_of_plans.period_start_date = charges.period_start_date
    inner join plans
        on usage_of_plans.plan_id = plans.plan_id

),

-- By what a group has left after its refunds; by what it had where no group has anything left.
weights_proposed as (

    select
        *,
        charge_amount - sum(own_amount) over plan_month as amount_to_lay,
        case
            when is_refund then 0
            else greatest(
                sum(weighing_amount) over (
                    partition by partner_agreement_id, plan_id, period_start_date, transaction_group_id
                ), 0
            )
        end as left_weight,
        case when is_refund then 0 else abs(weighing_amount) end as original_weight
    from usage_of_groups
    window plan_month as (partition by partner_agreement_id, plan_id, period_start_date)

),

weights_chosen as (

    select
        *,
        case
            when sum(left_weight) over plan_month > 0 then left_weight
            when sum(original_weight) over plan_month > 0 then original_weight
            when sum(abs(weighing_amount)) over plan_month > 0 then abs(weighing_amount)
            else abs(charged_quantity)
        end as chosen_weight
    from weights_proposed
    window plan_month as (partition by partner_agreement_id, plan_id, period_start_date)

),

-- Of what is counted by the thousand million (bytes, for one) whole units will do: times an amount, more
-- digits would be too many.
charges_to_lay as (

    select
        *,
        case
            when
                sum(chosen_weight) over (partition by partner_agreement_id, plan_id, period_start_date)
                < 1000000000
                then cast(chosen_weight as decimal(38, 6))
            else cast(chosen_weight as decimal(38, 0)) * cast(0.000001 as decimal(38, 6))
        end as weight
    from weights_chosen

),

charges_laid as (

    {{ allocate(
        source='charges_to_lay', total='amount_to_lay', weight='weight',
        group_by='partner_agreement_id, plan_id, period_start_date', tie_break='transaction_group_id, is_refund',
        decimals=12, into='laid_amount'
    ) }}

),

parts as (

    select
        transaction_group_id,
        is_refund,
        billing_period_id,
        seller_partner_id,
        partner_agreement_id,
        service,
        participants,
        origin_agreement_id,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        origin_period_date,
        period_start_date,
        cast(sum(used_quantity) as decimal(38, 6)) as used_quantity,
        cast(sum(costed_quantity) as decimal(38, 6)) as costed_quantity,
        cast(sum(cost_amount) as {{ exact_amount() }}) as cost_amount,
        cast(sum(own_amount + laid_amount) as {{ exact_amount() }}) as exact_amount
    from charges_laid
    group by
        transaction_group_id, is_refund, billing_period_id, seller_partner_id, partner_agreement_id, service,
        participants, origin_agreement_id, charge_currency, rounding_mode, line_rounding_decimals,
        origin_period_date, period_start_date

),

services_summed as (

    select
        *,
        cast(
            sum(exact_amount) over (partition by billing_period_id, service, charge_currency)
            as {{ exact_amount() }}
        ) as service_amount
    from parts

),

services_rounded as (

    select
        *,
        {{ round_money('service_amount', 'line_rounding_decimals', 'rounding_mode') }} as rounded_amount
    from services_summed

),

parts_rounded as (

    {{ round_parts(
        source='services_rounded', part='exact_amount', total='rounded_amount',
        group_by='billing_period_id, service, charge_currency', tie_break='transaction_group_id, is_refund',
        decimals='line_rounding_decimals', into='gross_amount'
    ) }}

),

transactions_grouped as (

    select
        transaction_group_id,
        billing_period_id,
        seller_partner_id,
        partner_agreement_id,
        service,
        participants,
        origin_agreement_id,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        origin_agreement_id = partner_agreement_id and origin_period_date = period_start_date as is_origin,
        count_if(not is_refund) > 0 as holds_originals,
        cast(sum(gross_amount) as {{ exact_amount() }}) as gross_amount,
        -- Before refunds: what the shares are reckoned of.
        cast(sum(case when is_refund then 0 else gross_amount end) as {{ exact_amount() }})
            as original_amount,
        cast(sum(case when is_refund then 0 else used_quantity end) as decimal(38, 6)) as used_quantity,
        cast(sum(case when is_refund then 0 else costed_quantity end) as decimal(38, 6)) as costed_quantity,
        cast(sum(case when is_refund then 0 else cost_amount end) as {{ exact_amount() }}) as cost_amount,
        origin_period_date,
        period_start_date
    from parts_rounded
    group by
        transaction_group_id, billing_period_id, seller_partner_id, partner_agreement_id, service,
        participants, origin_agreement_id, charge_currency, rounding_mode, line_rounding_decimals,
        origin_period_date, period_start_date

)

select * from transactions_grouped
