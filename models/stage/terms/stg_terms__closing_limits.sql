with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

limits as (

    select
        upper(trim(currency)) as currency,
        try_cast({{ number_written('at_risk_limit_amount') }} as decimal(18, 6)) as at_risk_limit_amount,
        count(*) over (partition by upper(trim(currency))) as same_currency_count
    from {{ ref('closing_limits') }}

)

select
    currency,
    at_risk_limit_amount,
    case
        when currency is null then 'key_missing'
        when currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when same_currency_count > 1 then 'terms_overlap'
        when at_risk_limit_amount is null or at_risk_limit_amount < 0 then 'amount_unreadable'
    end as refusal_reason
from limits
