-- Fails if the transaction groups of a service and month do not add up to its charges, rounded once: what
-- lies in no group is never shared, what lies in two is shared twice.
{{ config(meta={'dagster': {'ref': {'name': 'int_transactions_grouped', 'package': 'tollgate'}}}) }}
with

sellers as (

    select distinct
        seller_partner_id,
        service
    from {{ ref('stg_terms__revenue_shares') }}
    where refusal_reason is null

),

charges_summed as (

    select
        charges.billing_period_id,
        charges.service,
        charges.charge_currency,
        charges.rounding_mode,
        charges.line_rounding_decimals,
        cast(sum(charges.charge_amount) as {{ exact_amount() }}) as charge_amount
    from {{ ref('int_charges_priced') }} as charges
    inner join sellers
        on
            charges.partner_id = sellers.seller_partner_id
            and charges.service = sellers.service
    where not charges.is_without_usage
    group by
        charges.billing_period_id, charges.service, charges.charge_currency, charges.rounding_mode,
        charges.line_rounding_decimals

),

charges_rounded as (

    select
        *,
        {{ round_money('charge_amount', 'line_rounding_decimals', 'rounding_mode') }} as rounded_amount
    from charges_summed

),

groups_summed as (

    select
        billing_period_id,
        service,
        charge_currency,
        sum(gross_amount) as gross_amount
    from {{ ref('int_transactions_grouped') }}
    group by billing_period_id, service, charge_currency

)

select
    coalesce(charges_rounded.billing_period_id, groups_summed.billing_period_id) as billing_period_id,
    coalesce(charges_rounded.service, groups_summed.service) as service,
    charges_rounded.rounded_amount,
    groups_summed.gross_amount
from charges_rounded
full outer join groups_summed
    on
        charges_rounded.billing_period_id = groups_summed.billing_period_id
        and charges_rounded.service = groups_summed.service
        and charges_rounded.charge_currency = groups_summed.charge_currency
where coalesce(charges_rounded.rounded_amount, 0) != coalesce(groups_summed.gross_amount, 0)
