with

known_countries as (

    select country_code from {{ ref('countries') }}

),

carrier_fees as (

    select
        trim(agreement_id) as agreement_id,
        trim(fee_name) as fee_name,
        lower(trim(fee_kind)) as fee_kind,
        lower(trim(service)) as service,
        lower(trim(direction)) as direction,
        upper(trim(country_code)) as country_code,
        trim(mcc) as mcc,
        trim(mnc) as mnc,
        lower(trim(number_type)) as number_type,
        lower(trim(quantity_unit)) as unit_written,
        {{ counted_unit('lower(trim(quantity_unit))') }} as quantity_unit,
        coalesce(lower(trim(proration)), 'none') as proration,
        {{ number_written('fee_amount') }} as amount_written,
        coalesce(trim(fee_per_quantity), '1') as fee_per_text,
        {{ number_written('committed_quantity') }} as committed_written,
        coalesce(trim(commitment_months), '1') as commitment_months_text,
        coalesce(trim(is_taxed), 'true') as is_taxed_text,
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('carrier_fees') }}

),

-- What tells a fee from the other fees of its agreement: its name, however it is capitalised, and what it is
-- due for.
carrier_fees_identified as (

    select
        *,
        lower(fee_name) as fee_key,
        lower(fee_name)
        || '|' || coalesce(service, '') || '|' || coalesce(direction, '') || '|' || coalesce(country_code, '')
        || '|' || coalesce(mcc, '') || '|' || coalesce(mnc, '') || '|' || coalesce(number_type, '')
            as fee_scope,
        try_cast(amount_written as decimal(18, 8)) as fee_amount,
        {{ counted_quantity(
            parse_whole_number('fee_per_text'), 'unit_written',
            'cast(' ~ parse_whole_number('fee_per_text') ~ ' as bigint)', 'integer'
        ) }} as fee_per_quantity,
        {{ counted_quantity(
            'try_cast(committed_written as decimal(18, 3))', 'unit_written',
            'try_cast(committed_written as decimal(38, 15))', 'decimal(18, 3)'
        ) }} as committed_quantity,
        {{ parse_whole_number('commitment_months_text') }} as commitment_months,
        try_cast(is_taxed_text as boolean) as is_taxed
    from carrier_fees

),

neighbours_seen as (

    select
        *,
        {{ previous_until('agreement_id, fee_scope') }} as previous_until_date,
        {{ next_from('agreement_id, fee_scope') }} as next_from_date,
        -- The rows of one name stand on one line of the invoice, and a line is taxed or it is not.
        min(is_taxed) over (partition by agreement_id, fee_key)
        != max(is_taxed) over (partition by agreement_id, fee_key) as is_taxed_in_part
    from carrier_fees_identified

)

select
    agreement_id || '|' || fee_scope || '|' || cast(valid_from_date as string) as carrier_fee_id,
    agreement_id,
    fee_key,
    fee_name,
    fee_kind,
    service,
    direction,
    country_code,
    mcc,
    mnc,
    number_type,
    quantity_unit,
    proration,
    case
        when agreement_id is null or fee_name is null then 'key_missing'
        when
            coalesce(fee_kind, '') not in (
                'per_number_month', 'per_month', 'per_event', 'per_quantity',
                'minimum_amount', 'minimum_quantity'
            )
            then 'fee_kind_unknown'
        when not {{ is_service('service') }} then 'service_unknown'
        when direction not in ('outbound', 'inbound') then 'direction_unknown'
        when country_code not in (select known_countries.country_code from known_countries)
            then 'country_unknown'
        when not ({{ is_digits('mcc') }} and length(mcc) = 3) then 'mcc_unreadable'
        when not ({{ is_digits('mnc') }} and length(mnc) <= 3) then 'mnc_unreadable'
        when mnc is not null and mcc is null then 'mnc_without_mcc'
        when not {{ is_counted_unit('quantity_unit') }} then 'quantity_unit_unknown'
        when fee_kind in ('per_quantity', 'minimum_quantity') and quantity_unit is null
            then 'quantity_unit_unknown'
        when proration not in ('none', 'by_day') then 'proration_unknown'
        -- What the kind cannot apply would be left out unseen.
        when
            (fee_kind not in ('per_quantity', 'minimum_quantity') and quantity_unit is not null)
            or (fee_kind != 'minimum_quantity' and committed_written is not null)
            or (fee_kind not in ('minimum_amount', 'minimum_quantity') and commitment_months_text != '1')
            or (fee_kind in ('minimum_amount', 'minimum_quantity') and coalesce(mcc, mnc) is not null)
            or (fee_kind = 'minimum_amount' and fee_per_text != '1')
            or (fee_kind != 'per_number_month' and number_type is not null)
            or (fee_kind = 'per_month' and country_code is not null)
            or (
                fee_kind in ('per_number_month', 'per_month')
                and (coalesce(service, direction, mcc, mnc) is not null or fee_per_text != '1')
            )
            or (fee_kind in ('per_event', 'per_quantity') and proration != 'none')
            then 'column_not_of_this_fee_kind'
        when fee_amount is null or fee_amount < 0 then 'fee_amount_unreadable'
        when amount_written != fee_amount then 'fee_amount_has_more_than_8_decimals'
        when fee_per_quantity is null or fee_per_quantity < 1 then 'fee_per_quantity_unreadable'
        when fee_kind = 'minimum_quantity' and (committed_quantity is null or committed_quantity <= 0)
            then 'committed_quantity_unreadable'
        when commitment_months is null or commitment_months not between 1 and 120
            then 'commitment_months_unreadable'
        when is_taxed is null then 'is_taxed_unreadable'
        when is_taxed_in_part then 'is_taxed_differs'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
        when {{ overlaps_neighbours() }} then 'terms_overlap'
    end as refusal_reason,
    fee_amount,
    fee_per_quantity,
    committed_quantity,
    cast(commitment_months as integer) as commitment_months,
    is_taxed,
    valid_from_date,
    valid_until_date
from neighbours_seen
