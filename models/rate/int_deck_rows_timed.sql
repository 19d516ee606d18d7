-- One row per deck row that may price something, and per code where it prices a destination by its name, with
-- the instant from which it applies (the later of its
-- first day, on the agreement's clock, and its receipt) and the days of notice that it gave. A row whose rate
-- cannot be read is here too: it still says that the more general codes do not apply.
with

-- Of the others nobody knows of which code they are, or from when on.
deck_rows as (

    select
        *,
        refusal_reason is not null as is_refused
    from {{ ref('int_deck_rows_collected') }}
    where
        refusal_reason is null
        or refusal_reason not in (
            'deck_kind_unknown', 'effective_date_unreadable', 'received_at_unreadable',
            'dial_code_unreadable', 'dial_code_beside_network', 'mcc_unreadable', 'mnc_unreadable',
            'mnc_without_mcc', 'origin_code_unreadable', 'destination_name_unmapped'
        )

),

codes_of_names as (

    select * from {{ ref('int_deck_names_mapped') }}

),

agreements as (

    select * from {{ ref('int_agreements_resolved') }}
    where party_role = 'carrier'

),

clocks_read as (

    select
        deck_rows.*,
        codes_of_names.dial_code as dial_code_of_name,
        agreements.increase_notice_days,
        coalesce(agreements.time_zone, 'UTC') as time_zone
    from deck_rows
    left join codes_of_names
        on
            deck_rows.is_by_name
            and deck_rows.file_id = codes_of_names.file_id
            and deck_rows.record_number = codes_of_names.record_number
    left join agreements
        on
            deck_rows.carrier_id = agreements.party_id
            and deck_rows.effective_date >= agreements.valid_from_date
            and deck_rows.effective_date < agreements.valid_until_date

),

deck_rows_timed as (

    select
        feed || ':' || file_id || ':' || cast(record_number as string)
        || coalesce(':' || dial_code_of_name, '') as rate_row_id,
        carrier_id,
        service,
        direction,
        deck_version,
        deck_kind,
        case
            when is_by_name
                then {{ name_of_code('dial_code_of_name', 'mcc', 'mnc', 'origin_code') }}
            else code_name
        end as code_name,
        coalesce(dial_code_of_name, dial_code) as dial_code,
        mcc,
        mnc,
        origin_code,
        destination_name,
        rate_currency,
        rate_unit,
        weekdays,
        file_id,
        record_number,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        minimum_quantity,
        increment_quantity,
        maximum_amount,
        from_minute,
        until_minute,
        from_quantity,
        increase_notice_days,
        case
            when is_receipt_stated
                then greatest(
                    0,
                    {{ days_between(
                        'cast(' ~ to_local('received_at', 'time_zone') ~ ' as date)', 'effective_date'
                    ) }}
                )
        end as notice_days,
        is_refused,
        is_closed,
        is_new,
        effective_date,
        received_at,
        greatest({{ to_instant('effective_date', 'time_zone') }}, received_at) as applies_from_at,
        loaded_at
    from clocks_read

)

select * from deck_rows_timed
