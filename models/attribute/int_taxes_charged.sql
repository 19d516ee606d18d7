-- One row per partner's agreement, billing month and currency: the charges, and the tax on their sum, rounded
-- once.
with

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where party_role = 'partner' and refusal_reason is null

),

charges_summed as (

    select
        partner_id,
        partner_agreement_id,
        billing_period_id,
        charge_currency,
        rounding_mode,
        line_rounding_decimals,
        sum(event_count) as event_count,
        cast(sum(charge_amount) as {{ exact_amount() }}) as charge_amount,
        period_start_date
    from {{ ref('int_charges_priced') }}
    group by
        partner_id, partner_agreement_id, billing_period_id, charge_currency, rounding_mode,
        line_rounding_decimals, period_start_date

),

taxes_charged as (

    select
        charges_summed.partner_id,
        charges_summed.partner_agreement_id,
        charges_summed.billing_period_id,
        charges_summed.charge_currency,
        charges_summed.rounding_mode,
        charges_summed.line_rounding_decimals,
        charges_summed.event_count,
        charges_summed.charge_amount,
        agreements.tax_ratio,
        {{ round_money(
            multiply_exactly('charges_summed.charge_amount', 'agreements.tax_ratio'),
            'charges_summed.line_rounding_decimals', 'charges_summed.rounding_mode'
        ) }} as tax_amount,
        charges_summed.period_start_date
    from charges_summed
    inner join agreements
        on charges_summed.partner_agreement_id = agreements.agreement_id

)

select * from taxes_charged
