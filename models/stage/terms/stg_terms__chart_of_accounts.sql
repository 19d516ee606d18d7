with

known_accounts as (

    select debit_account as account from {{ ref('ledger_entry_types') }}
    union
    select credit_account as account from {{ ref('ledger_entry_types') }}

),

accounts as (

    select
        lower(trim(account)) as account,
        trim(account_number) as account_number,
        trim(account_name) as account_name,
        count(*) over (partition by lower(trim(account))) as same_account_count
    from {{ ref('chart_of_accounts') }}

)

select
    account,
    account_number,
    account_name,
    case
        when account is null or account_number is null then 'key_missing'
        when account not in (select known_accounts.account from known_accounts) then 'account_unknown'
        when same_account_count > 1 then 'terms_overlap'
    end as refusal_reason
from accounts
