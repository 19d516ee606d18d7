-- One row per finding about a carrier's deck: what it leaves without a price, says twice, says of codes that
-- are not there, raises too late or prices unlike its neighbours. Nothing is rated by it; it is what to ask
-- the carrier. All steps are windows or joins on equal keys, so a deck of a million rows takes seconds.
{% set minutes_of_a_week = 10080 %}
{% set no_code = 'cast(null as string) as other_code_name' %}
{% set no_price = 'cast(null as decimal(18, 8)) as compared_rate_amount,
        cast(null as integer) as compared_per_quantity' %}
{% set no_minutes = 'cast(null as integer) as unpriced_minutes' %}
{% set as_the_price = 'cast(null as timestamp) as applies_from_at,
        cast(null as timestamp) as applies_until_at' %}

with

calling_codes as (

    select * from {{ ref('calling_codes') }}

),

deck_rows as (

    select * from {{ ref('int_deck_rows_timed') }}

),

codes as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

prices as (

    select * from {{ ref('int_rates_resolved') }}

),

codes_dropped as (

    select * from {{ ref('int_codes_dropped') }}

),

weeks_covered as (

    select * from {{ ref('int_weeks_covered') }}

),

deck_rows_contradicted as (

    select * from {{ ref('int_deck_rows_contradicted') }}

),

late_increases as (

    select * from {{ ref('int_late_increases_detected') }}

),

outliers as (

    select * from {{ ref('int_rate_outliers_detected') }}

),

codes_begun as (

    select
        carrier_id,
        service,
        direction,
        code_name,
        min(applies_from_at) as first_from_at
    from codes
    group by carrier_id, service, direction, code_name

),

decks_begun as (

    select
        carrier_id,
        service,
        direction,
        min(first_from_at) as first_from_at
    from codes_begun
    group by carrier_id, service, direction

),

-- A full deck may list what it no longer has. What is closed and priced at once is told as that.
unknown_codes_closed as (

    select
        deck_rows.carrier_id,
        deck_rows.service,
        deck_rows.direction,
        deck_rows.code_name,
        deck_rows.applies_from_at,
        min(deck_rows.rate_row_id) as rate_row_id
    from deck_rows
    left join codes_begun
        on
            deck_rows.carrier_id = codes_begun.carrier_id
            and deck_rows.service = codes_begun.service
            and deck_rows.direction = codes_begun.direction
            and deck_rows.code_name = codes_begun.code_name
            and deck_rows.applies_from_at > codes_begun.first_from_at
    left join deck_rows_contradicted
        on deck_rows.rate_row_id = deck_rows_contradicted.rate_row_id
    where
        deck_rows.is_closed
        and deck_rows.deck_kind = 'amendment'
        and codes_begun.carrier_id is null
        and deck_rows_contradicted.rate_row_id is null
    group by
        deck_rows.carrier_id, deck_rows.service, deck_rows.direction, deck_rows.code_name,
        deck_rows.applies_from_at

),

-- A carrier that never sends a full deck begins with an amendment.
unknown_codes_amended as (

    select codes.deck_row_id
    from codes
    inner join deck_rows
        on codes.deck_row_id = deck_rows.rate_row_id
    inner join codes_begun
        on
            codes.carrier_id = codes_begun.carrier_id
            and codes.service = codes_begun.service
            and codes.direction = codes_begun.direction
            and codes.code_name = codes_begun.code_name
            and codes.applies_from_at = codes_begun.first_from_at
    inner join decks_begun
        on
            codes.carrier_id = decks_begun.carrier_id
            and codes.service = decks_begun.service
            and codes.direction = decks_begun.direction
            and codes.applies_from_at > decks_begun.first_from_at
    where deck_rows.deck_kind = 'amendment' and not deck_rows.is_new

),

-- Of a calling code of four digits the first is one too, so three digits decide.
beginnings as (

    select distinct substring(dial_code, 1, 3) as beginning
    from codes
    where dial_code != ''

),

beginnings_unassigned as (

    select beginnings.beginning
    from beginnings
    left join calling_codes
        on
            beginnings.beginning like calling_codes.calling_code || '%'
            or calling_codes.calling_code like beginnings.beginning || '%'
    where calling_codes.calling_code is null

),

findings as (

    select
        'gap' as finding,
        'dropped_from_full_deck' as finding_reason,
        case when has_price then 'warning' else 'error' end as severity,
        deck_row_id as rate_row_id,
        full_deck_row_id as said_in_row_id,
        more_general_code_name as other_code_name,
        {{ no_price }},
        {{ no_minutes }},
        dropped_at as applies_from_at,
        returned_at as applies_until_at
    from codes_dropped
    union all
    select
        'gap' as finding,
        'hours_without_price' as finding_reason,
        'error' as severity,
        deck_row_id as rate_row_id,
        deck_row_id as said_in_row_id,
        {{ no_code }},
        {{ no_price }},
        {{ minutes_of_a_week }} - priced_minutes as unpriced_minutes,
        {{ as_the_price }}
    from weeks_covered
    where priced_minutes < {{ minutes_of_a_week }}
    union all
    select
        'gap' as finding,
        'first_seconds_without_price' as finding_reason,
        'error' as severity,
        deck_row_id as rate_row_id,
        deck_row_id as said_in_row_id,
        {{ no_code }},
        {{ no_price }},
        priced_minutes - priced_from_start_minutes as unpriced_minutes,
        {{ as_the_price }}
    from weeks_covered
    where priced_from_start_minutes < priced_minutes
    union all
    select
        'overlap' as finding,
        'two_prices_at_one_time' as finding_reason,
        'error' as severity,
        overlapping_row_id as rate_row_id,
        overlapping_row_id as said_in_row_id,
        {{ no_code }},
        overlapped_rate_amount as compared_rate_amount,
        overlapped_per_quantity as compared_per_quantity,
        {{ no_minutes }},
        {{ as_the_price }}
    from weeks_covered
    where overlapping_row_id is not null
    union all
    select
        'overlap' as finding,
        case when is_closing then 'closed_and_priced' else 'repeated_with_another_price' end
            as finding_reason,
        'error' as severity,
        rate_row_id,
        rate_row_id as said_in_row_id,
        {{ no_code }},
        other_rate_amount as compared_rate_amount,
        other_per_quantity as compared_per_quantity,
        {{ no_minutes }},
        {{ as_the_price }}
    from deck_rows_contradicted
    union all
    select
        'orphan_code' as finding,
        'closes_unknown_code' as finding_reason,
        'warning' as severity,
        rate_row_id,
        rate_row_id as said_in_row_id,
        {{ no_code }},
        {{ no_price }},
        {{ no_minutes }},
        {{ as_the_price }}
    from unknown_codes_closed
    union all
    select
        'orphan_code' as finding,
        'amends_unknown_code' as finding_reason,
        'warning' as severity,
        deck_row_id as rate_row_id,
        deck_row_id as said_in_row_id,
        {{ no_code }},
        {{ no_price }},
        {{ no_minutes }},
        {{ as_the_price }}
    from unknown_codes_amended
    union all
    select
        'orphan_code' as finding,
        'no_such_calling_code' as finding_reason,
        'warning' as severity,
        codes.deck_row_id as rate_row_id,
        codes.deck_row_id as said_in_row_id,
        {{ no_code }},
        {{ no_price }},
        {{ no_minutes }},
        {{ as_the_price }}
    from codes
    inner join beginnings_unassigned
        on substring(codes.dial_code, 1, 3) = beginnings_unassigned.beginning
    union all
    select
        'increase_inside_notice' as finding,
        'increase_inside_notice' as finding_reason,
        'error' as severity,
        rate_row_id,
        rate_row_id as said_in_row_id,
        {{ no_code }},
        last_rate_amount as compared_rate_amount,
        last_per_quantity as compared_per_quantity,
        {{ no_minutes }},
        {{ as_the_price }}
    from late_increases
    union all
    select
        'rate_far_from_neighbours' as finding,
        case when is_far_above then 'far_above' else 'far_below' end as finding_reason,
        'warning' as severity,
        rate_row_id,
        rate_row_id as said_in_row_id,
        shorter_code_name as other_code_name,
        middle_rate_amount as compared_rate_amount,
        middle_per_quantity as compared_per_quantity,
        {{ no_minutes }},
        {{ as_the_price }}
    from outliers

),

deck_findings_raised as (

    select
        findings.finding_reason || ':' || findings.rate_row_id as finding_id,
        deck_rows.carrier_id,
        said_in.file_id,
        deck_rows.service,
        deck_rows.direction,
        said_in.deck_version,
        deck_rows.code_name,
        deck_rows.destination_name,
        findings.finding,
        findings.finding_reason,
        findings.severity,
        findings.other_code_name,
        deck_rows.rate_currency,
        deck_rows.rate_unit,
        -- Of a dropped code the full deck has no record.
        case when findings.said_in_row_id = findings.rate_row_id then said_in.record_number end
            as record_number,
        deck_rows.rate_amount,
        deck_rows.rate_per_quantity,
        findings.compared_rate_amount,
        findings.compared_per_quantity,
        {{ scale_money(
            1,
            divide_and_round('deck_rows.rate_amount', 'deck_rows.rate_per_quantity', 12, "'half_up'"),
            'nullif(' ~ divide_and_round(
                'findings.compared_rate_amount', 'findings.compared_per_quantity', 12, "'half_up'"
            ) ~ ', 0)',
            4, factor_decimals=12
        ) }} as rate_ratio,
        findings.unpriced_minutes,
        case when findings.finding = 'increase_inside_notice' then said_in.notice_days end as notice_days,
        case when findings.finding = 'increase_inside_notice' then said_in.increase_notice_days end
            as increase_notice_days,
        said_in.effective_date,
        said_in.received_at,
        coalesce(findings.applies_from_at, prices.applies_from_at, deck_rows.applies_from_at)
            as applies_from_at,
        coalesce(findings.applies_until_at, prices.applies_until_at, timestamp '9999-12-31 00:00:00')
            as applies_until_at
    from findings
    inner join deck_rows
        on findings.rate_row_id = deck_rows.rate_row_id
    inner join deck_rows as said_in
        on findings.said_in_row_id = said_in.rate_row_id
    left join prices
        on findings.rate_row_id = prices.rate_row_id

)

select * from deck_findings_raised
