-- One row per partner, billing month and currency: what the partner owes for its usage with tax, and what it
-- is owed for its shares. Shares stay in the seller's currency, so a partner may have a statement of shares
-- alone.
with

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'partner' and refusal_reason is null

),

charges_taxed as (

    select
        partner_id,
        period_start_date,
        charge_currency as statement_currency,
        sum(event_count) as event_count,
        cast(sum(charge_amount) as {{ exact_amount() }}) as charge_amount,
        cast(sum(tax_amount) as {{ exact_amount() }}) as tax_amount
    from {{ ref('int_taxes_charged') }}
    group by partner_id, period_start_date, charge_currency

),

shares as (

    select
        beneficiary_partner_id as partner_id,
        period_start_date,
        share_currency as statement_currency,
        cast(sum(allocated_amount) as {{ exact_amount() }}) as revenue_share_amount
    from {{ ref('int_shares_allocated') }}
    group by beneficiary_partner_id, period_start_date, share_currency

),

both_sides_joined as (

    select
        coalesce(charges_taxed.partner_id, shares.partner_id) as partner_id,
        coalesce(charges_taxed.period_start_date, shares.period_start_date) as period_start_date,
        coalesce(charges_taxed.statement_currency, shares.statement_currency) as statement_currency,
        coalesce(charges_taxed.event_count, 0) as event_count,
        coalesce(charges_taxed.charge_amount, 0) as charge_amount,
        coalesce(charges_taxed.tax_amount, 0) as tax_amount,
        coalesce(shares.revenue_share_amount, 0) as revenue_share_amount
    from charges_taxed
    full outer join shares
        on
            charges_taxed.partner_id = shares.partner_id
            and charges_taxed.period_start_date = shares.period_start_date
            and charges_taxed.statement_currency = shares.statement_currency

),

statements_totalled as (

    select
        both_sides_joined.partner_id || ':' || {{ month_name_of('both_sides_joined.period_start_date') }}
        || ':' || both_sides_joined.statement_currency as statement_id,
        coalesce(agreements.agreement_id, both_sides_joined.partner_id)
        || ':' || {{ month_name_of('both_sides_joined.period_start_date') }} as billing_period_id,
        both_sides_joined.*,
        greatest(
            both_sides_joined.charge_amount + both_sides_joined.tax_amount
            - both_sides_joined.revenue_share_amount, 0
        ) as receivable_amount,
        greatest(
            both_sides_joined.revenue_share_amount
            - both_sides_joined.charge_amount - both_sides_joined.tax_amount, 0
        ) as payable_amount,
        {{ add_days(
            next_month_of('both_sides_joined.period_start_date'), 'coalesce(agreements.payment_days, 30)'
        ) }}
            as due_date
    from both_sides_joined
    -- The agreement of the month, the later one where it changed within; money owed to a partner without one
    -- is still owed.
    left join agreements
        on
            both_sides_joined.partner_id = agreements.party_id
            and both_sides_joined.period_start_date >= {{ month_of('agreements.valid_from_date') }}
            and both_sides_joined.period_start_date < agreements.valid_until_date
    qualify row_number() over (
        partition by
            both_sides_joined.partner_id,
            both_sides_joined.period_start_date,
            both_sides_joined.statement_currency
        order by agreements.valid_from_date desc
    ) = 1

)

select * from statements_totalled
