-- One row per transaction group, the charges of a seller's service and month with the same participants: what
-- is shared of them. Refunds stand in the group of what they refund; where that is of another month or
-- agreement, the refunds of each month are a group of their own, which leads to it. The charge of each plan
-- is laid on the groups by their usage, or by their own money where the plan prices single amounts, and what
-- the service comes to in the month is rounded once: the groups add up to it at the minor unit.
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

-- Items of a plan of lines have their amounts already; what else the plan charges is laid on them.
charges_to_lay as (

    select
        usage_of_plans.*,
        charges.billing_period_id,
        charges.charge_currency,
        charges.rounding_mode,
        charges.line_rounding_decimals,
        charges.billing_period_id || ':' || usage_of_plans.service
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
        case when charges.pricing_model = 'lines' then usage_of_plans.priced_amount else 0 end as own_amount,
        charges.charge_amount - sum(
            case when charges.pricing_model = 'lines' then usage_of_plans.priced_amount else 0 end
        ) over plan_month as amount_to_lay,
        case
            when
                charges.pricing_model in ('lines', 'percentage', 'graduated_percentage')
                and sum(abs(usage_of_plans.priced_amount)) over plan_month > 0
                then abs(usage_of_plans.priced_amount)
            else abs(usage_of_plans.charged_quantity)
        end as weight
    from usage_of_plans
    inner join charges
        on
            usage_of_plans.partner_agreement_id = charges.partner_agreement_id
            and usage_of_plans.plan_id = charges.plan_id
            and usage_of_plans.period_start_date = charges.period_start_date
    window plan_month as (
        partition by
            usage_of_plans.partner_agreement_id, usage_of_plans.plan_id, usage_of_plans.period_start_date
    )

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
        cast(sum(exact_amount) over (partition by billing_period_id, service) as {{ exact_amount() }})
            as service_amount
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
        group_by='billing_period_id, service', tie_break='transaction_group_id, is_refund', decimals='line_rounding_decimals', into='gross_amount'
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
