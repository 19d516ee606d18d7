with both_roles as (

    select party_id
    from {{ ref('stg_terms__parties') }}
    where is_carrier and is_partner and refusal_reason is null

),

as_carrier as (

    select
        carrier_id as party_id,
        period_start_date,
        settlement_currency as netting_currency,
        sum(payable_amount) as carrier_payable_amount,
        sum(receivable_amount) as carrier_receivable_amount
    from {{ ref('int_carrier_bills_settled') }}
    group by carrier_id, period_start_date, settlement_currency

),

as_partner as (

    select
        partner_id as party_id,
        period_start_date,
        statement_currency as netting_currency,
        sum(payable_amount) as partner_payable_amount,
        sum(receivable_amount) as partner_receivable_amount
    from {{ ref('int_statements_totalled') }}
    group by partner_id, period_start_date, statement_currency

),

both_sides as (

    select
        coalesce(as_carrier.party_id, as_partner.party_id) as party_id,
        coalesce(as_carrier.period_start_date, as_partner.period_start_date) as period_start_date,
        coalesce(as_carrier.netting_currency, as_partner.netting_currency) as netting_currency,
        coalesce(as_carrier.carrier_payable_amount, 0) as carrier_payable_amount,
        coalesce(as_carrier.carrier_receivable_amount, 0) as carrier_receivable_amount,
        coalesce(as_partner.partner_payable_amount, 0) as partner_payable_amount,
        coalesce(as_partner.partner_receivable_amount, 0) as partner_receivable_amount
    from as_carrier
    full outer join as_partner
        on
            as_carrier.party_id = as_partner.party_id
            and as_carrier.period_start_date = as_partner.period_start_date
            and as_carrier.netting_currency = as_partner.netting_currency

),

netted as (

    select
        both_sides.*,
        both_sides.carrier_payable_amount + both_sides.partner_payable_amount
        - both_sides.carrier_receivable_amount - both_sides.partner_receivable_amount as owed_amount
    from both_sides
    inner join both_roles
        on both_sides.party_id = both_roles.party_id

),

fct_netting_statements as (

    select
        party_id || ':' || {{ month_name_of('period_start_date') }} || ':' || netting_currency
            as netting_statement_id,
        party_id,
        cast(carrier_payable_amount as decimal(18, 6)) as carrier_payable_amount,
        cast(carrier_receivable_amount as decimal(18, 6)) as carrier_receivable_amount,
        cast(partner_payable_amount as decimal(18, 6)) as partner_payable_amount,
        cast(partner_receivable_amount as decimal(18, 6)) as partner_receivable_amount,
        cast(greatest(owed_amount, 0) as decimal(18, 6)) as net_payable_amount,
        cast(greatest(-owed_amount, 0) as decimal(18, 6)) as net_receivable_amount,
        netting_currency,
        period_start_date
    from netted

)

select * from fct_netting_statements
