with

known_currencies as (

    select currency_code from {{ ref('currencies') }}

),

agreements as (

    select
        trim(agreement_id) as agreement_id,
        trim(party_id) as party_id,
        trim(party_role) as party_role,
        upper(trim(currency)) as currency,
        trim(time_zone) as time_zone,
        coalesce(trim(rounding_mode), 'half_up') as rounding_mode,
        {{ parse_whole_number('event_rounding_decimals') }} as event_rounding_decimals,
        {{ parse_whole_number('line_rounding_decimals') }} as line_rounding_decimals,
        {{ parse_whole_number('total_rounding_decimals') }} as total_rounding_decimals,
        coalesce({{ parse_whole_number('payment_days') }}, 30) as payment_days,
        {{ parse_whole_number('increase_notice_days') }} as increase_notice_days,
        coalesce(try_cast(tax_ratio as decimal(9, 6)), 0) as tax_ratio,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text,
        tax_ratio as tax_ratio_text,
        event_rounding_decimals as event_rounding_text,
        total_rounding_decimals as total_rounding_text,
        payment_days as payment_days_text,
        increase_notice_days as increase_notice_text
    from {{ ref('agreements') }}

),

neighbours_seen as (

    select
        *,
        {{ previous_until('party_id, party_role') }} as previous_until_date,
        {{ next_from('party_id, party_role') }} as next_from_date,
        count(*) over (partition by agreement_id) as same_agreement_count
    from agreements

)

select
    agreement_id,
    party_id,
    party_role,
    currency,
    time_zone,
    rounding_mode,
    case
        when agreement_id is null or party_id is null then 'key_missing'
        when same_agreement_count > 1 then 'agreement_repeated'
        when party_role is null or party_role not in ('carrier', 'partner') then 'party_role_unknown'
        when currency is null or currency not in (select known_currencies.currency_code from known_currencies)
            then 'currency_unknown'
        when time_zone is null or not {{ is_time_zone('time_zone') }} then 'time_zone_unknown'
        when rounding_mode not in ('half_up', 'half_even', 'up', 'down') then 'rounding_mode_unknown'
        when line_rounding_decimals is null or line_rounding_decimals not between 0 and 6
            then 'rounding_decimals_unreadable'
        when event_rounding_decimals not between 0 and 12 then 'rounding_decimals_unreadable'
        when event_rounding_text is not null and event_rounding_decimals is null
            then 'rounding_decimals_unreadable'
        when total_rounding_text is not null and coalesce(total_rounding_decimals not between 0 and 6, true)
            then 'rounding_decimals_unreadable'
        -- A statement is rounded as its lines are; plans may have finer ones.
        when total_rounding_text is not null and party_role = 'partner' then 'total_rounding_of_a_partner'
        when payment_days_text is not null and {{ parse_whole_number('payment_days_text') }} is null
            then 'payment_days_unreadable'
        when increase_notice_text is not null and increase_notice_days is null
            then 'increase_notice_days_unreadable'
        when tax_ratio_text is not null and try_cast(tax_ratio_text as decimal(9, 6)) is null
            then 'tax_ratio_unreadable'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    event_rounding_decimals,
    line_rounding_decimals,
    total_rounding_decimals,
    payment_days,
    increase_notice_days,
    tax_ratio,
    valid_from_date,
    valid_until_date
from neighbours_seen
