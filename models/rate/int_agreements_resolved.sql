-- One row per agreement that may be applied, with its validity as instants. Where one agreement follows
-- another without a gap, it ends when its successor begins, also where the two run on different clocks.
with

agreements as (

    select * from {{ ref('stg_terms__agreements') }}
    where refusal_reason is null

),

instants_given as (

    select
        *,
        {{ to_instant('valid_from_date', 'time_zone') }} as valid_from_at,
        {{ to_instant('valid_until_date', 'time_zone') }} as own_valid_until_at
    from agreements

),

agreements_resolved as (

    select
        agreement_id,
        party_id,
        party_role,
        currency,
        time_zone,
        rounding_mode,
        event_rounding_decimals,
        line_rounding_decimals,
        payment_days,
        increase_notice_days,
        tax_ratio,
        valid_from_date,
        valid_until_date,
        valid_from_at,
        case
            when
                lead(valid_from_date) over (partition by party_id, party_role order by valid_from_date)
                = valid_until_date
                then lead(valid_from_at) over (partition by party_id, party_role order by valid_from_date)
            else own_valid_until_at
        end as valid_until_at
    from instants_given

)

select * from agreements_resolved
