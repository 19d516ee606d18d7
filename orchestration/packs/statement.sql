-- Adds up a statement, from the tables of this folder and nothing else. With DuckDB (https://duckdb.org), here:
--   duckdb < recompute.sql
--   python -c "import duckdb; print(duckdb.sql(open('recompute.sql').read()))"
-- The last column says whether lines, tax and shares lead to every amount that the statement states.

with
lines as (from 'parquet/lines.parquet'),
taxes as (from 'parquet/taxes.parquet'),
shares as (from 'parquet/shares_received.parquet'),
account as (from 'parquet/account.parquet'),
netting as (from 'parquet/netting.parquet'),
statements as (from 'parquet/statements.parquet'),

charges as (
    select statement_id, agreement_id, sum(charge_amount) as charge_amount
    from lines
    group by statement_id, agreement_id
),
charges_taxed as (
    select
        charges.statement_id,
        sum(charges.charge_amount) as charge_amount,
        sum(scaled(
            charges.charge_amount, cast(taxes.tax_ratio * 1000000 as hugeint), 1000000, taxes.rounding_decimals,
            taxes.rounding_mode
        )) as tax_amount,
        bool_and(taxes.taxable_amount = charges.charge_amount) as is_taxed_whole
    from charges
    join taxes using (statement_id, agreement_id)
    group by charges.statement_id
),
shares_summed as (
    select statement_id, sum(allocated_amount) as revenue_share_amount
    from shares
    group by statement_id
),
-- Opening balance and movements must lead to the closing balance.
accounts_summed as (
    select
        account_currency,
        sum(case when position < 3 then amount else -amount end) = 0 as adds_up
    from account
    group by account_currency
),
accounts_judged as (
    select coalesce(bool_and(adds_up), true) as accounts_add_up from accounts_summed
),
recomputed as (
    select
        statements.*,
        coalesce(charges_taxed.charge_amount, 0) as charges,
        coalesce(charges_taxed.tax_amount, 0) as tax,
        coalesce(shares_summed.revenue_share_amount, 0) as shares,
        coalesce(charges_taxed.is_taxed_whole, true) as is_taxed_whole,
        accounts_judged.accounts_add_up
    from statements
    left join charges_taxed using (statement_id)
    left join shares_summed using (statement_id)
    cross join accounts_judged
),
-- Each document in the currency of netting, rounded once.
documents_converted as (
    select
        netting.*,
        case
            when document_currency = netting_currency then receivable_amount - payable_amount
            else scaled(
                receivable_amount - payable_amount,
                cast(cast(netting_units_per_base as decimal(38, 8)) * 100000000 as hugeint),
                cast(cast(document_units_per_base as decimal(38, 8)) * 100000000 as hugeint),
                minor_unit_decimals, 'half_up'
            )
        end as converted_amount
    from netting
),
netted as (
    select
        netting_statement_id,
        netting_currency,
        max(net_receivable_amount - net_payable_amount) as stated_amount,
        sum(converted_amount) as recomputed_amount,
        bool_and(netted_receivable_amount - netted_payable_amount = converted_amount) as is_converted_right
    from documents_converted
    group by netting_statement_id, netting_currency
)

-- What is due to us is positive, what we owe is negative.
select
    statement_id as id,
    receivable_amount - payable_amount as stated_amount,
    cast(charges + tax - shares as decimal(18, 6)) as recomputed_amount,
    statement_currency as currency,
    charge_amount = charges and tax_amount = tax and revenue_share_amount = shares and is_taxed_whole
    and accounts_add_up
    and receivable_amount = greatest(charges + tax - shares, 0)
    and payable_amount = greatest(shares - charges - tax, 0) as agrees
from recomputed
union all
select
    'net of ' || netting_statement_id as id,
    stated_amount,
    cast(recomputed_amount as decimal(18, 6)) as recomputed_amount,
    netting_currency as currency,
    is_converted_right and stated_amount = recomputed_amount as agrees
from netted
order by id;
