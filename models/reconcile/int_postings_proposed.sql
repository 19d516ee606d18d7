-- Booked postings, as they were booked, and those that this run proposes: for each party, origin period,
-- currency and kind of entry only the difference between what is right now and what is booked. It is posted
-- into the origin period or, where that is closed, into the first one that is open. Publishing books the
-- proposals, after the gates.
with

bills as (

    select * from {{ ref('int_carrier_bills_settled') }}

),

statements as (

    select * from {{ ref('int_statements_totalled') }}

),

shares as (

    select
        beneficiary_partner_id as party_id,
        period_start_date,
        share_currency as currency,
        sum(allocated_amount) as amount
    from {{ ref('int_shares_allocated') }}
    group by beneficiary_partner_id, period_start_date, share_currency

),

entry_types as (

    select * from {{ ref('ledger_entry_types') }}

),

booked as (

    select * from {{ ref('stg_ledger__postings') }}

),

what_was_learned as (

    select {{ known_at('loaded_at') }} as known_at
    from {{ ref('stg_ingest__files') }}

),

-- The month after the last one into which nothing may be posted any more; null while every month is open.
open_months as (

    select max({{ next_month_of('closings.period_date') }}) as first_open_date
    from {{ ref('stg_ledger__closings') }} as closings
    cross join what_was_learned
    where
        closings.period_state = 'closed'
        or cast(what_was_learned.known_at as date) > closings.grace_until_date

),

payments as (

    select
        case settles
            when 'carrier' then 'carrier_payment'
            when 'partner' then 'partner_receipt'
            else 'partner_payout'
        end as entry_type,
        party_id,
        {{ month_of('value_date') }} as period_start_date,
        payment_currency as currency,
        -- Money that goes the other way takes back what an entry of its kind does.
        case
            when (settles = 'partner') = (direction = 'received') then paid_amount
            else -paid_amount
        end as amount
    from {{ ref('int_payments_collected') }}
    where refusal_reason is null

),

-- What is netted in another currency leaves the account in its own and comes back in the other.
nettings as (

    select * from {{ ref('int_nettings_converted') }}
    where is_converted

),

amounts_right as (

    select
        'carrier_cost' as entry_type,
        carrier_id as party_id,
        period_start_date,
        settlement_currency as currency,
        accepted_amount - (invoiced_tax_amount - disputed_tax_amount) as amount
    from bills
    union all
    select
        'carrier_tax' as entry_type,
        carrier_id as party_id,
        period_start_date,
        settlement_currency as currency,
        invoiced_tax_amount - disputed_tax_amount as amount
    from bills
    union all
    select
        'carrier_dispute' as entry_type,
        carrier_id as party_id,
        period_start_date,
        settlement_currency as currency,
        disputed_amount as amount
    from bills
    union all
    select
        'carrier_credit' as entry_type,
        carrier_id as party_id,
        period_start_date,
        settlement_currency as currency,
        credited_on_disputes_amount as amount
    from bills
    union all
    select
        'carrier_credit_cost' as entry_type,
        carrier_id as party_id,
        period_start_date,
        settlement_currency as currency,
        credited_amount - credited_on_disputes_amount as amount
    from bills
    union all
    select
        'carrier_accrual' as entry_type,
        carrier_id as party_id,
        period_start_date,
        accrual_currency as currency,
        accrued_amount as amount
    from {{ ref('int_accruals_estimated') }}
    union all
    select
        'partner_charge' as entry_type,
        partner_id as party_id,
        period_start_date,
        statement_currency as currency,
        charge_amount as amount
    from statements
    union all
    select
        'partner_tax' as entry_type,
        partner_id as party_id,
        period_start_date,
        statement_currency as currency,
        tax_amount as amount
    from statements
    union all
    select
        'revenue_share' as entry_type,
        party_id,
        period_start_date,
        currency,
        amount
    from shares
    {% for entry_type, role, amount in [
        ('carrier_exchange', 'carrier', '{}payable_amount - {}receivable_amount'),
        ('partner_exchange', 'partner', '{}receivable_amount'), ('share_exchange', 'partner', '{}payable_amount')
    ] %}
        union all
        select
            '{{ entry_type }}' as entry_type,
            party_id,
            period_start_date,
            document_currency as currency,
            {{ amount.replace('{}', '') }} as amount
        from nettings
        where party_role = '{{ role }}'
        union all
        select
            '{{ entry_type }}' as entry_type,
            party_id,
            period_start_date,
            netting_currency as currency,
            -({{ amount.replace('{}', 'netted_') }}) as amount
        from nettings
        where party_role = '{{ role }}'
    {% endfor %}
    union all
    select
        entry_type,
        party_id,
        period_start_date,
        currency,
        amount
    from payments

),

amounts_right_summed as (

    select
        entry_type,
        party_id,
        period_start_date,
        currency,
        sum(amount) as amount
    from amounts_right
    group by entry_type, party_id, period_start_date, currency

),

-- What is booked of an entry is its debits less its credits on the account that it debits.
amounts_booked as (

    select
        booked.entry_type,
        booked.party_id,
        booked.origin_period_date as period_start_date,
        booked.currency,
        sum(booked.debit_amount - booked.credit_amount) as amount,
        max(booked.batch_number) as last_batch_number,
        max_by(booked.entry_id, booked.batch_number) as last_entry_id
    from booked
    inner join entry_types
        on
            booked.entry_type = entry_types.entry_type
            and booked.account = entry_types.debit_account
    group by booked.entry_type, booked.party_id, booked.origin_period_date, booked.currency

),

differences as (

    select
        coalesce(amounts_right_summed.entry_type, amounts_booked.entry_type) as entry_type,
        coalesce(amounts_right_summed.party_id, amounts_booked.party_id) as party_id,
        coalesce(amounts_right_summed.period_start_date, amounts_booked.period_start_date)
            as period_start_date,
        coalesce(amounts_right_summed.currency, amounts_booked.currency) as currency,
        coalesce(amounts_booked.last_batch_number, 0) + 1 as batch_number,
        amounts_booked.last_entry_id,
        coalesce(amounts_right_summed.amount, 0) - coalesce(amounts_booked.amount, 0) as difference_amount
    from amounts_right_summed
    full outer join amounts_booked
        on
            amounts_right_summed.entry_type = amounts_booked.entry_type
            and amounts_right_summed.party_id = amounts_booked.party_id
            and amounts_right_summed.period_start_date = amounts_booked.period_start_date
            and amounts_right_summed.currency = amounts_booked.currency

),

entries_proposed as (

    select
        entry_types.*,
        differences.party_id,
        differences.period_start_date,
        differences.currency,
        differences.batch_number,
        differences.last_entry_id,
        differences.difference_amount,
        greatest(
            differences.period_start_date,
            coalesce(open_months.first_open_date, differences.period_start_date)
        ) as posting_period_date,
        what_was_learned.known_at,
        differences.entry_type || ':' || differences.party_id
        || ':' || {{ month_name_of('differences.period_start_date') }} || ':' || differences.currency
        || ':' || cast(differences.batch_number as string) as entry_id
    from differences
    inner join entry_types
        on differences.entry_type = entry_types.entry_type
    cross join what_was_learned
    cross join open_months
    where differences.difference_amount != 0

),

-- Two postings of one positive amount. A difference downwards swaps the sides; no amount is ever negative.
postings_proposed as (

    {% for side, account_upwards, account_downwards in [
        ('debit', 'debit_account', 'credit_account'), ('credit', 'credit_account', 'debit_account')
    ] %}
        select
            entry_id || ':{{ side }}' as posting_id,
            entry_id,
            last_entry_id as corrects_entry_id,
            party_id,
            entry_type,
            case when difference_amount > 0 then {{ account_upwards }} else {{ account_downwards }} end
                as account,
            description,
            batch_number,
            {{ 'abs(difference_amount)' if side == 'debit' else '0' }} as debit_amount,
            {{ 'abs(difference_amount)' if side == 'credit' else '0' }} as credit_amount,
            currency,
            period_start_date as origin_period_date,
            posting_period_date,
            known_at
        from entries_proposed
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

postings_with_proposed as (

    {% for postings in ['booked', 'postings_proposed'] %}
        select
            posting_id,
            entry_id,
            corrects_entry_id,
            party_id,
            entry_type,
            account,
            description,
            cast(batch_number as integer) as batch_number,
            cast(debit_amount as decimal(18, 6)) as debit_amount,
            cast(credit_amount as decimal(18, 6)) as credit_amount,
            currency,
            origin_period_date,
            posting_period_date,
            known_at
        from {{ postings }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from postings_with_proposed
