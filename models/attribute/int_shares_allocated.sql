-- One row per transaction group, rule and beneficiary; beside the shares, as rows of their own, what a floor,
-- a cap or a guarantee adds or takes away over all groups of a month.
with

allocations as (

    select
        'share' as allocation_type,
        transaction_group_id,
        billing_period_id,
        rule_id,
        seller_partner_id,
        partner_agreement_id,
        beneficiary_partner_id,
        participant_role,
        service,
        share_kind,
        share_basis,
        step,
        charge_currency as share_currency,
        share_ratio,
        unit_amount,
        priced_per_quantity,
        gross_amount,
        basis_amount,
        allocated_amount,
        cast(null as {{ exact_amount() }}) as balance_amount,
        origin_period_date,
        period_start_date
    from {{ ref('int_shares_rounded') }}
    union all
    select
        allocation_type,
        billing_period_id || ':' || service || ':' || charge_currency || ':' || allocation_type
        || case
            when origin_agreement_id = partner_agreement_id and origin_period_date = period_start_date then ''
            else ':refunds of ' || origin_agreement_id || ':' || {{ month_name_of('origin_period_date') }}
        end as transaction_group_id,
        billing_period_id,
        rule_id,
        seller_partner_id,
        partner_agreement_id,
        beneficiary_partner_id,
        participant_role,
        service,
        null as share_kind,
        null as share_basis,
        step,
        charge_currency as share_currency,
        null as share_ratio,
        null as unit_amount,
        null as priced_per_quantity,
        0 as gross_amount,
        null as basis_amount,
        allocated_amount,
        null as balance_amount,
        origin_period_date,
        period_start_date
    from {{ ref('int_share_limits_applied') }}
    union all
    select
        case when allocated_amount < 0 then 'recoupment' else 'guarantee' end as allocation_type,
        billing_period_id || ':' || service || ':' || charge_currency || ':guarantee' as transaction_group_id,
        billing_period_id,
        rule_id,
        seller_partner_id,
        partner_agreement_id,
        beneficiary_partner_id,
        participant_role,
        service,
        null as share_kind,
        null as share_basis,
        step,
        charge_currency as share_currency,
        null as share_ratio,
        null as unit_amount,
        null as priced_per_quantity,
        0 as gross_amount,
        null as basis_amount,
        allocated_amount,
        balance_amount,
        period_start_date as origin_period_date,
        period_start_date
    from {{ ref('int_guarantees_balanced') }}
    where allocated_amount != 0 or balance_amount != 0

),

shares_allocated as (

    select
        transaction_group_id || ':' || rule_id || ':' || beneficiary_partner_id
        || case when participant_role is null then '' else ':' || participant_role end as allocation_id,
        allocation_type,
        transaction_group_id,
        billing_period_id,
        rule_id,
        seller_partner_id,
        partner_agreement_id,
        beneficiary_partner_id,
        participant_role,
        service,
        share_kind,
        share_basis,
        step,
        share_currency,
        share_ratio,
        unit_amount,
        priced_per_quantity,
        gross_amount,
        basis_amount,
        cast(sum(allocated_amount) over (partition by transaction_group_id, rule_id) as {{ exact_amount() }})
            as shared_amount,
        allocated_amount,
        gross_amount - cast(
            sum(allocated_amount) over (partition by transaction_group_id) as {{ exact_amount() }}
        ) as kept_amount,
        balance_amount,
        origin_period_date,
        period_start_date
    from allocations

)

select * from shares_allocated
