-- One row per transaction group, share rule and beneficiary: what is owed by the rule, at the minor unit. All
-- that is given of a group is rounded once and its parts by largest remainder, so that what the seller keeps
-- is a whole amount too. A refund takes back the part of each share that it is of the charges; what all
-- refunds up to a month leave of a share is rounded, and the month posts the difference, so that nothing is
-- left of a share of which everything is refunded.
with

shares as (

    select * from {{ ref('int_shares_reckoned') }}

),

transaction_groups as (

    select
        *,
        origin_agreement_id || ':' || {{ month_name_of('origin_period_date') }} || ':' || service
        || ':' || charge_currency || ':' || participants as origin_key
    from {{ ref('int_transactions_grouped') }}

),

originals as (

    select * from transaction_groups
    where is_origin and holds_originals

),

-- The group itself, and the refunds of each later month, with what is left of the charges by then.
readings as (

    select
        transaction_groups.transaction_group_id,
        transaction_groups.billing_period_id,
        transaction_groups.partner_agreement_id,
        transaction_groups.gross_amount,
        transaction_groups.period_start_date,
        originals.transaction_group_id as origin_group_id,
        originals.origin_agreement_id,
        originals.origin_period_date,
        originals.seller_partner_id,
        originals.service,
        originals.charge_currency,
        originals.rounding_mode,
        originals.line_rounding_decimals,
        originals.original_amount,
        cast(sum(transaction_groups.gross_amount) over (
            partition by transaction_groups.origin_key
            order by transaction_groups.period_start_date, transaction_groups.transaction_group_id
            rows between unbounded preceding and current row
        ) as {{ exact_amount() }}) as left_amount
    from transaction_groups
    inner join originals
        on transaction_groups.origin_key = originals.origin_key

),

-- What would be owed without any refund, which caps and floors go by.
readings_and_originals as (

    select * from readings
    union all
    select
        null as transaction_group_id,
        billing_period_id,
        partner_agreement_id,
        gross_amount,
        period_start_date,
        transaction_group_id as origin_group_id,
        origin_agreement_id,
        origin_period_date,
        seller_partner_id,
        service,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        original_amount,
        original_amount as left_amount
    from originals

),

shares_left as (

    select
        readings_and_originals.*,
        coalesce(readings_and_originals.transaction_group_id, '') as reading_key,
        shares.share_row_id,
        shares.rule_id,
        shares.beneficiary_partner_id,
        shares.participant_role,
        shares.share_kind,
        shares.share_basis,
        shares.step,
        shares.share_ratio,
        shares.unit_amount,
        shares.priced_per_quantity,
        shares.basis_amount,
        case
            when
                readings_and_originals.left_amount = readings_and_originals.original_amount
                or readings_and_originals.original_amount = 0
                then shares.exact_amount
            else
                case
                    when
                        (readings_and_originals.left_amount < 0)
                        = (readings_and_originals.original_amount < 0)
                        then 1
                    else -1
                end
                * {{ scale_money(
                    'shares.exact_amount', 'abs(readings_and_originals.left_amount)',
                    'abs(readings_and_originals.original_amount)', 12, "'half_up'", 6
                ) }}
        end as exact_amount
    from readings_and_originals
    inner join shares
        on readings_and_originals.origin_group_id = shares.transaction_group_id

),

groups_summed as (

    select
        *,
        cast(sum(exact_amount) over (partition by origin_group_id, reading_key) as {{ exact_amount() }})
            as given_amount
    from shares_left

),

groups_rounded as (

    select
        *,
        -- Thirds of twelve decimals do not add up to the whole; their sum to eight decimals does.
        {{ round_money(
            round_money('given_amount', 8, "'half_up'"), 'line_rounding_decimals', 'rounding_mode'
        ) }} as rounded_amount
    from groups_summed

),

parts_rounded as (

    {{ round_parts(
        source='groups_rounded', part='exact_amount', total='rounded_amount',
        group_by='origin_group_id, reading_key', tie_break='rule_id, beneficiary_partner_id, share_row_id', decimals='line_rounding_decimals',
        into='owed_amount'
    ) }}

),

originals_owed as (

    select
        origin_group_id,
        share_row_id,
        beneficiary_partner_id,
        owed_amount
    from parts_rounded
    where transaction_group_id is null

),

shares_rounded as (

    select
        parts_rounded.transaction_group_id,
        parts_rounded.billing_period_id,
        parts_rounded.origin_group_id,
        parts_rounded.partner_agreement_id,
        parts_rounded.origin_agreement_id,
        parts_rounded.seller_partner_id,
        parts_rounded.service,
        parts_rounded.share_row_id,
        parts_rounded.rule_id,
        parts_rounded.beneficiary_partner_id,
        parts_rounded.participant_role,
        parts_rounded.share_kind,
        parts_rounded.share_basis,
        parts_rounded.step,
        parts_rounded.share_ratio,
        parts_rounded.unit_amount,
        parts_rounded.priced_per_quantity,
        parts_rounded.charge_currency,
        parts_rounded.rounding_mode,
        parts_rounded.line_rounding_decimals,
        parts_rounded.gross_amount,
        case
            when parts_rounded.transaction_group_id = parts_rounded.origin_group_id
                then parts_rounded.basis_amount
        end as basis_amount,
        parts_rounded.owed_amount - coalesce(
            lag(parts_rounded.owed_amount) over (
                partition by
                    parts_rounded.origin_group_id, parts_rounded.share_row_id,
                    parts_rounded.beneficiary_partner_id
                order by parts_rounded.period_start_date, parts_rounded.transaction_group_id
            ), 0
        ) as allocated_amount,
        -- Before refunds: once for each share, in the month of the charges.
        case
            when parts_rounded.transaction_group_id = parts_rounded.origin_group_id
                then parts_rounded.original_amount
        end as original_gross_amount,
        case
            when parts_rounded.transaction_group_id = parts_rounded.origin_group_id
                then originals_owed.owed_amount
        end as original_amount,
        parts_rounded.origin_period_date,
        parts_rounded.period_start_date
    from parts_rounded
    inner join originals_owed
        on
            parts_rounded.origin_group_id = originals_owed.origin_group_id
            and parts_rounded.share_row_id = originals_owed.share_row_id
            and parts_rounded.beneficiary_partner_id = originals_owed.beneficiary_partner_id
    where parts_rounded.transaction_group_id is not null

)

select * from shares_rounded
