-- One row per transaction group, share rule and beneficiary: what the rule gives of the group's charges
-- before any refund, to twelve decimals, and of what. Steps come one after the other: what a step gives is
-- not left for the next ones that ask for what is left.
with

transaction_groups as (

    select
        *,
        -- The charge of what has a known cost, less that cost; a loss is nobody's share.
        case
            when original_amount <= 0 or used_quantity = 0 then original_amount
            when costed_quantity = used_quantity then greatest(original_amount - cost_amount, 0)
            -- Of a thousand million units fractions do not count; times an amount, they would be too long.
            {% for condition, decimals in {'used_quantity < 1000000000': 6, 'true': 0}.items() %}
                when {{ condition }}
                    then greatest(
                        {{ scale_money(
                            'original_amount', 'costed_quantity', 'used_quantity', 8, "'half_up'", decimals
                        ) }} - cost_amount, 0
                    )
            {% endfor %}
        end as net_amount
    from {{ ref('int_transactions_grouped') }}
    where is_origin and holds_originals

),

share_rules as (

    select * from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null

),

participants as (

    select distinct
        participants,
        participant_role,
        participant_partner_id
    from {{ ref('int_participants_resolved') }}

),

-- A rule for a role holds where somebody has it, and is shared alike by all who do; one for a role and a
-- beneficiary only where that partner has it.
rules_met as (

    select
        transaction_groups.transaction_group_id,
        share_rules.share_row_id,
        share_rules.rule_id,
        coalesce(share_rules.beneficiary_partner_id, participants.participant_partner_id)
            as beneficiary_partner_id,
        share_rules.participant_role,
        share_rules.share_kind,
        share_rules.share_basis,
        share_rules.step,
        share_rules.priority,
        share_rules.has_tiers,
        share_rules.share_ratio,
        share_rules.unit_amount,
        share_rules.priced_per_quantity,
        transaction_groups.charge_currency,
        transaction_groups.used_quantity,
        transaction_groups.period_start_date,
        min(case when share_rules.is_exclusive then share_rules.priority end) over (
            partition by transaction_groups.transaction_group_id
        ) as last_priority,
        count(*) over (
            partition by transaction_groups.transaction_group_id, share_rules.share_row_id
        ) as beneficiary_count
    from transaction_groups
    inner join share_rules
        on
            transaction_groups.seller_partner_id = share_rules.seller_partner_id
            and transaction_groups.service = share_rules.service
            and transaction_groups.period_start_date >= share_rules.valid_from_date
            and transaction_groups.period_start_date < share_rules.valid_until_date
    left join participants
        on
            transaction_groups.participants = participants.participants
            and share_rules.participant_role = participants.participant_role
            and (
                share_rules.beneficiary_partner_id is null
                or share_rules.beneficiary_partner_id = participants.participant_partner_id
            )
    where share_rules.participant_role is null or participants.participant_partner_id is not null

),

rules_applied as (

    select * from rules_met
    where priority <= coalesce(last_priority, priority)

),

-- The tier is that of all that the rule covers in the month, under whatever agreements; once, however many
-- share in it.
quantities_covered as (

    select
        charge_currency,
        share_row_id,
        period_start_date,
        cast(sum(used_quantity) as decimal(38, 6)) as covered_quantity
    from (
        select distinct
            transaction_group_id,
            charge_currency,
            share_row_id,
            used_quantity,
            period_start_date
        from rules_applied
        where has_tiers
    ) as groups_covered
    group by charge_currency, share_row_id, period_start_date

),

share_tiers as (

    select * from {{ ref('stg_terms__revenue_share_tiers') }}
    where refusal_reason is null

),

prices_found as (

    select
        rules_applied.*,
        coalesce(share_tiers.share_ratio, rules_applied.share_ratio) as ratio_applied,
        coalesce(share_tiers.unit_amount, rules_applied.unit_amount) as unit_applied
    from rules_applied
    left join quantities_covered
        on
            rules_applied.has_tiers
            and rules_applied.charge_currency = quantities_covered.charge_currency
            and rules_applied.share_row_id = quantities_covered.share_row_id
            and rules_applied.period_start_date = quantities_covered.period_start_date
    left join share_tiers
        on
            rules_applied.has_tiers
            and rules_applied.rule_id = share_tiers.rule_id
            and (
                quantities_covered.covered_quantity > share_tiers.above_quantity
                or share_tiers.tier_number = 1
            )
            and (
                share_tiers.up_to_quantity is null
                or quantities_covered.covered_quantity <= share_tiers.up_to_quantity
            )

),

left_before_step_1 as (

    select
        transaction_group_id,
        original_amount,
        net_amount,
        cost_amount,
        original_amount as left_amount
    from transaction_groups

),

{% for step in share_steps() %}
    bases_of_step_{{ step }} as (

        select
            prices_found.*,
            cast(
                case
                    when prices_found.share_kind = 'fixed_per_unit' then null
                    when prices_found.share_kind = 'cost_plus' then left_before.cost_amount
                    when prices_found.share_basis = 'gross' then left_before.original_amount
                    when prices_found.share_basis = 'net_of_cost' then left_before.net_amount
                    when prices_found.share_basis = 'remainder'
                        then {{ not_beyond_zero('left_before.left_amount', 'left_before.original_amount') }}
                    when prices_found.share_basis = 'margin'
                        then {{ not_beyond_zero(
                            'left_before.left_amount - left_before.original_amount + left_before.net_amount',
                            'left_before.original_amount'
                        ) }}
                end as {{ exact_amount() }}
            ) as basis_amount
        from prices_found
        inner join left_before_step_{{ step }} as left_before
            on prices_found.transaction_group_id = left_before.transaction_group_id
        where prices_found.step = {{ step }}

    ),

    -- Multiplied before it is divided: whole 10^-18, by the number of beneficiaries and of units.
    shares_of_step_{{ step }} as (

        select
            *,
            {{ round_units(
                'dividend_units',
                'cast(beneficiary_count * priced_per_quantity as ' ~ wide_integer() ~ ') * 1000000', 12, "'half_up'",
                'coalesce(basis_amount, 1)'
            ) }} as exact_amount
        from (
            select
                *,
                case share_kind
                    when 'ratio' then {{ to_units('basis_amount') }} * {{ factor_units('ratio_applied', 6) }}
                    when 'cost_plus'
                        then {{ to_units('basis_amount') }} * {{ factor_units('1 + ratio_applied', 6) }}
                    else
                        {{ factor_units('used_quantity', 6) }} * {{ factor_units('unit_applied', 8) }} * 10000
                end as dividend_units
            from bases_of_step_{{ step }}
        ) as dividends

    ),

    given_in_step_{{ step }} as (

        select
            transaction_group_id,
            sum(exact_amount) as exact_amount
        from shares_of_step_{{ step }}
        group by transaction_group_id

    ),

    left_before_step_{{ loop.index + 1 }} as (

        select
            left_before.transaction_group_id,
            left_before.original_amount,
            left_before.net_amount,
            left_before.cost_amount,
            cast(left_before.left_amount - coalesce(given.exact_amount, 0) as {{ exact_amount() }})
                as left_amount
        from left_before_step_{{ step }} as left_before
        left join given_in_step_{{ step }} as given
            on left_before.transaction_group_id = given.transaction_group_id

    ),
{% endfor %}

shares_reckoned as (

    {% for step in share_steps() %}
        select
            transaction_group_id,
            share_row_id,
            rule_id,
            beneficiary_partner_id,
            participant_role,
            share_kind,
            share_basis,
            step,
            ratio_applied as share_ratio,
            unit_applied as unit_amount,
            priced_per_quantity,
            used_quantity,
            basis_amount,
            exact_amount
        from shares_of_step_{{ step }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from shares_reckoned
