-- What each party's accounts come to, month by month of posting: brought forward, moved for the month itself,
-- corrected for months before it, carried forward.
with

postings as (

    select * from {{ ref('int_postings_proposed') }}

),

movements as (

    select
        party_id,
        account,
        currency,
        posting_period_date,
        sum(debit_amount) as debit_amount,
        sum(credit_amount) as credit_amount,
        sum(case when origin_period_date < posting_period_date then debit_amount - credit_amount else 0 end)
            as correction_amount,
        sum(debit_amount - credit_amount) as movement_amount,
        max(known_at) as known_at
    from postings
    group by party_id, account, currency, posting_period_date

),

balances as (

    select
        *,
        sum(movement_amount) over (
            partition by party_id, account, currency
            order by posting_period_date
            rows between unbounded preceding and current row
        ) as closing_balance_amount
    from movements

),

fct_account_balances as (

    select
        party_id || ':' || account || ':' || currency || ':' || {{ month_name_of('posting_period_date') }}
            as account_balance_id,
        party_id,
        account,
        cast(closing_balance_amount - movement_amount as decimal(18, 6)) as opening_balance_amount,
        cast(debit_amount as decimal(18, 6)) as debit_amount,
        cast(credit_amount as decimal(18, 6)) as credit_amount,
        cast(correction_amount as decimal(18, 6)) as correction_amount,
        cast(closing_balance_amount as decimal(18, 6)) as closing_balance_amount,
        currency as balance_currency,
        posting_period_date,
        known_at
    from balances

)

select * from fct_account_balances
