with

declared as (

    select * from {{ ref('stg_ingest__feeds') }}
    where kind = 'usage_summaries' and feed = 'twilio_usage_records'

),

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

summaries as (

    select * from {{ source('usage_summaries', 'twilio_usage_records') }}

),

summaries_read as (

    select
        'twilio_usage_records' as feed,
        'twilio' as carrier_id,
        trim(summaries.account_sid) as account_id,
        trim(summaries.category) as usage_category,
        trim(summaries.description) as category_description,
        trim(summaries.usage_unit) as usage_unit,
        trim(summaries.count_unit) as usage_count_unit,
        upper(trim(summaries.price_unit)) as vendor_currency,
        {{ parse_decimal('summaries.usage_quantity', 'declared.decimal_mark', 'decimal(28, 8)') }}
            as usage_quantity,
        -- Not every category counts something.
        case when {{ is_digits('summaries.usage_count') }} then try_cast(summaries.usage_count as bigint) end
            as usage_count,
        declared.money_sign * {{ parse_decimal('summaries.price', 'declared.decimal_mark') }}
            as vendor_amount,
        -- Both days are in GMT and included; here the end is the first instant after them.
        cast(try_cast(summaries.start_date as date) as timestamp) as period_from_at,
        cast({{ add_days('try_cast(summaries.end_date as date)', 1) }} as timestamp) as period_until_at,
        {{ parse_instant('summaries.as_of') }} as received_at,
        summaries._loaded_at as loaded_at,
        summaries._file_id as file_id,
        summaries._record_number as record_number
    from summaries
    cross join declared

),

summaries_judged as (

    select
        *,
        case
            when period_from_at is null or period_until_at is null or period_until_at <= period_from_at
                then 'period_unreadable'
            when received_at is null then 'received_at_unreadable'
            when usage_quantity is null then 'quantity_unreadable'
            when vendor_amount is null then 'amount_unreadable'
            when vendor_amount < 0 then 'money_sign_flipped'
            when
                vendor_currency is null
                or vendor_currency not in (select known_currencies.currency_code from known_currencies)
                then 'currency_unknown'
        end as refusal_reason
    from summaries_read

),

-- Usage of a running period is fetched again and again: the last word counts.
summaries_numbered as (

    select
        *,
        row_number() over (
            partition by account_id, usage_category, period_from_at, period_until_at, refusal_reason is null
            order by received_at desc, loaded_at desc, file_id desc, record_number desc
        ) as copy_number
    from summaries_judged

),

-- Twilio's categories are a tree: sms holds sms-outbound, which holds sms-outbound-longcode.
subtotals as (

    select distinct
        whole.account_id,
        whole.usage_category,
        whole.period_from_at,
        whole.period_until_at
    from summaries_numbered as whole
    inner join summaries_numbered as part
        on
            whole.account_id = part.account_id
            and whole.period_from_at = part.period_from_at
            and whole.period_until_at = part.period_until_at
            and part.usage_category like whole.usage_category || '-%'

)

select
    summaries_numbered.feed,
    summaries_numbered.carrier_id,
    summaries_numbered.account_id,
    summaries_numbered.usage_category,
    summaries_numbered.category_description,
    summaries_numbered.usage_unit,
    summaries_numbered.usage_count_unit,
    summaries_numbered.vendor_currency,
    summaries_numbered.refusal_reason,
    summaries_numbered.usage_quantity,
    summaries_numbered.usage_count,
    summaries_numbered.vendor_amount,
    summaries_numbered.usage_category = 'totalprice' or subtotals.usage_category is not null as is_subtotal,
    summaries_numbered.refusal_reason is null and summaries_numbered.copy_number > 1 as is_superseded,
    summaries_numbered.period_from_at,
    summaries_numbered.period_until_at,
    summaries_numbered.received_at,
    summaries_numbered.loaded_at,
    summaries_numbered.file_id,
    summaries_numbered.record_number
from summaries_numbered
left join subtotals
    on
        summaries_numbered.account_id = subtotals.account_id
        and summaries_numbered.usage_category = subtotals.usage_category
        and summaries_numbered.period_from_at = subtotals.period_from_at
        and summaries_numbered.period_until_at = subtotals.period_until_at
