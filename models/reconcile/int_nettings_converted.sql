-- One row per settlement of a carrier and statement of a partner whose party is both: what it says we owe, or
-- are owed, in its own currency and in the one in which the party is netted. That is the currency of the
-- netting agreement, at the rate of its day; without an agreement, or without a rate, it is its own.
with

parties_on_both_sides as (

    select party_id from {{ ref('stg_terms__parties') }}
    where refusal_reason is null and is_carrier and is_partner

),

netting_agreements as (

    select
        agreed.*,
        currencies.minor_unit_decimals
    from {{ ref('stg_terms__netting_agreements') }} as agreed
    inner join {{ ref('currencies') }} as currencies
        on agreed.netting_currency = currencies.currency_code
    where agreed.refusal_reason is null

),

rates as (

    select * from {{ ref('int_fx_rates_dated') }}

),

documents as (

    select
        'carrier' as party_role,
        carrier_settlement_id as document_id,
        carrier_id as party_id,
        period_start_date,
        settlement_currency as document_currency,
        payable_amount,
        receivable_amount,
        paid_amount
    from {{ ref('int_carrier_bills_settled') }}
    union all
    select
        'partner' as party_role,
        statement_id as document_id,
        partner_id as party_id,
        period_start_date,
        statement_currency as document_currency,
        payable_amount,
        receivable_amount,
        0 as paid_amount
    from {{ ref('int_statements_totalled') }}

),

documents_agreed as (

    select
        documents.*,
        coalesce(netting_agreements.netting_currency, documents.document_currency) as agreed_currency,
        netting_agreements.minor_unit_decimals,
        case
            when netting_agreements.netting_currency != documents.document_currency
                then {{ add_days(
                    next_month_of('documents.period_start_date'), 'netting_agreements.fx_days_after_month - 1'
                ) }}
        end as fx_date
    from documents
    inner join parties_on_both_sides
        on documents.party_id = parties_on_both_sides.party_id
    left join netting_agreements
        on
            documents.party_id = netting_agreements.party_id
            and documents.period_start_date >= netting_agreements.valid_from_date
            and documents.period_start_date < netting_agreements.valid_until_date
            -- What was paid by name was paid in its own currency, and stays in it.
            and documents.paid_amount = 0

),

documents_with_rates as (

    select
        documents_agreed.*,
        own_rates.units_per_base as document_units_per_base,
        agreed_rates.units_per_base as netting_units_per_base,
        own_rates.units_per_base is not null and agreed_rates.units_per_base is not null as is_converted,
        -- The older of the two; the base has no rates of its own.
        least(
            case own_rates.rate_source
                when 'base' then documents_agreed.fx_date
                else own_rates.valid_from_date
            end,
            case agreed_rates.rate_source
                when 'base' then documents_agreed.fx_date
                else agreed_rates.valid_from_date
            end
        ) as rate_date,
        coalesce(
            own_rates.rate_source != 'base'
            and own_rates.valid_from_date < documents_agreed.fx_date
            and own_rates.valid_until_date = date '9999-12-31', false
        )
        or coalesce(
            agreed_rates.rate_source != 'base'
            and agreed_rates.valid_from_date < documents_agreed.fx_date
            and agreed_rates.valid_until_date = date '9999-12-31', false
        ) as is_last_rate_older
    from documents_agreed
    left join rates as own_rates
        on
            documents_agreed.document_currency = own_rates.currency
            and documents_agreed.fx_date >= own_rates.valid_from_date
            and documents_agreed.fx_date < own_rates.valid_until_date
    left join rates as agreed_rates
        on
            documents_agreed.agreed_currency = agreed_rates.currency
            and documents_agreed.fx_date >= agreed_rates.valid_from_date
            and documents_agreed.fx_date < agreed_rates.valid_until_date

),

nettings_converted as (

    select
        party_role,
        document_id,
        party_id,
        period_start_date,
        document_currency,
        payable_amount,
        receivable_amount,
        case when is_converted then agreed_currency else document_currency end as netting_currency,
        is_converted,
        fx_date is not null and not is_converted as is_rate_missing,
        is_converted and is_last_rate_older as is_rate_provisional,
        fx_date,
        case when is_converted then rate_date end as rate_date,
        document_units_per_base,
        netting_units_per_base,
        case
            when is_converted
                then {{ convert_money(
                    'payable_amount', 'document_units_per_base', 'netting_units_per_base', 'minor_unit_decimals'
                ) }}
            else payable_amount
        end as netted_payable_amount,
        case
            when is_converted
                then {{ convert_money(
                    'receivable_amount', 'document_units_per_base', 'netting_units_per_base', 'minor_unit_decimals'
                ) }}
            else receivable_amount
        end as netted_receivable_amount
    from documents_with_rates

)

select * from nettings_converted
