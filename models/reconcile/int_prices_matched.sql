-- One row per questioned line that another price explains, with the price of each of its codes: the rate that
-- the line states, the deck as it stood before a change or as it stood after it (the carrier went on with the
-- old one, or began with the new one too early), or the next shorter code of the deck. A price must lead to
-- the amount of the line and hold the rate that it states; where none does, the stated rate is the price if
-- it is none of ours.
with

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

used as (

    select
        *,
        carrier_minimum_quantity as minimum_quantity,
        carrier_increment_quantity as increment_quantity
    from {{ ref('int_usage_rebilled') }}
    where is_counted_in_period and end_step > 8

),

line_codes as (

    select
        carrier_policy_id,
        invoice_line_id,
        deck_row_id,
        bool_or(is_repriceable) as is_repriceable
    from used
    group by carrier_policy_id, invoice_line_id, deck_row_id

),

lines as (

    select
        questioned.*,
        coalesce(roundings.is_adopted, false) as is_rounding_adopted,
        case
            when roundings.is_adopted then roundings.event_rounding_decimals
            else rating_terms.event_rounding_decimals
        end as event_rounding_decimals,
        coalesce(
            case when roundings.is_adopted then roundings.event_rounding_mode end, rating_terms.rounding_mode
        ) as event_rounding_mode,
        case
            when roundings.is_adopted then roundings.increment_rounding_decimals
            else rating_terms.increment_rounding_decimals
        end as increment_rounding_decimals,
        case
            when roundings.is_adopted then roundings.increment_rounding_mode
            else rating_terms.increment_rounding_mode
        end as increment_rounding_mode
    from {{ ref('int_lines_questioned') }} as questioned
    inner join rating_terms
        on
            questioned.agreement_id = rating_terms.agreement_id
            and questioned.service = rating_terms.service
            and questioned.direction = rating_terms.direction
    left join {{ ref('int_roundings_scored') }} as roundings
        on questioned.carrier_policy_id = roundings.carrier_policy_id

),

lines_reproduced as (

    {{ lines_reproduced('lines', 'used') }}

),

rate_decks as (

    select
        *,
        carrier_id || ':' || service || ':' || direction as deck_id
    from {{ ref('int_rate_decks_resolved') }}

),

codes_used as (

    select
        line_codes.carrier_policy_id,
        line_codes.invoice_line_id,
        line_codes.deck_row_id,
        rate_decks.deck_id,
        rate_decks.dial_code,
        rate_decks.applies_from_at,
        rate_decks.applies_until_at
    from line_codes
    inner join lines_reproduced
        on line_codes.invoice_line_id = lines_reproduced.invoice_line_id
    inner join rate_decks
        on line_codes.deck_row_id = rate_decks.deck_row_id
    where line_codes.is_repriceable and rate_decks.mcc is null and rate_decks.origin_code is null

),

codes as (

    select
        carrier_policy_id,
        deck_row_id,
        deck_id,
        dial_code,
        applies_from_at,
        applies_until_at
    from codes_used
    group by carrier_policy_id, deck_row_id, deck_id, dial_code, applies_from_at, applies_until_at

),

periods as (

    select
        carrier_policy_id,
        min(period_start_date) as period_start_date
    from lines
    group by carrier_policy_id

),

changes as (

    select
        carrier_policy_id,
        'deck before ' as price_name,
        applies_from_at as changed_at
    from codes
    group by carrier_policy_id, applies_from_at
    union all
    select
        carrier_policy_id,
        'deck from ' as price_name,
        applies_until_at as changed_at
    from codes
    where applies_until_at < timestamp '9999-12-31 00:00:00'
    group by carrier_policy_id, applies_until_at

),

-- What of its deck each code would have been looked up in.
lookups as (

    select
        codes.carrier_policy_id,
        codes.deck_row_id,
        codes.deck_id,
        codes.dial_code,
        changes.price_name || cast(changes.changed_at as string) as price_name,
        true as is_whole_code,
        changes.changed_at
        - case when changes.price_name = 'deck before ' then interval 1 second else interval 0 second end
            as looked_up_at
    from codes
    inner join changes
        on
            codes.carrier_policy_id = changes.carrier_policy_id
            and case
                when changes.price_name = 'deck before ' then codes.applies_from_at >= changes.changed_at
                else codes.applies_until_at <= changes.changed_at
            end
    union all
    select
        codes.carrier_policy_id,
        codes.deck_row_id,
        codes.deck_id,
        codes.dial_code,
        'shorter code' as price_name,
        false as is_whole_code,
        greatest(codes.applies_from_at, cast(periods.period_start_date as timestamp)) as looked_up_at
    from codes
    inner join periods
        on codes.carrier_policy_id = periods.carrier_policy_id

),

lengths as (

    {% for length in range(16) %}
        select {{ length }} as dial_code_length
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

codes_found as (

    select
        lookups.carrier_policy_id,
        lookups.deck_row_id,
        lookups.price_name,
        found.deck_row_id as price_row_id
    from lookups
    inner join lengths
        on
            length(lookups.dial_code) >= lengths.dial_code_length
            and (lookups.is_whole_code or length(lookups.dial_code) > lengths.dial_code_length)
    inner join rate_decks as found
        on
            lookups.deck_id = found.deck_id
            and lengths.dial_code_length = found.dial_code_length
            and substring(lookups.dial_code, 1, lengths.dial_code_length) = found.dial_code
            and found.mcc is null
            and found.origin_code is null
            and not found.is_refused
            and not found.has_bands_or_steps
            and lookups.looked_up_at >= found.applies_from_at
            and lookups.looked_up_at < found.applies_until_at
    qualify row_number() over (
        partition by lookups.carrier_policy_id, lookups.deck_row_id, lookups.price_name
        order by lengths.dial_code_length desc, found.deck_row_id asc
    ) = 1

),

-- A decimal point that slipped, in every rate of the line.
slips as (

    select
        'decimal point to the right' as price_name,
        10 as rate_factor,
        1 as per_factor
    union all
    select
        'decimal point two to the right' as price_name,
        100 as rate_factor,
        1 as per_factor
    union all
    select
        'decimal point to the left' as price_name,
        1 as rate_factor,
        10 as per_factor
    union all
    select
        'decimal point two to the left' as price_name,
        1 as rate_factor,
        100 as per_factor

),

-- The agreed price and each other one that changes some code of the line.
candidates as (

    select
        invoice_line_id,
        'as agreed' as price_name
    from lines_reproduced
    union all
    select
        invoice_line_id,
        'stated rate' as price_name
    from lines_reproduced
    where invoiced_rate_amount is not null and invoiced_rate_per_quantity is not null
    union all
    select
        lines_reproduced.invoice_line_id,
        slips.price_name
    from lines_reproduced
    cross join slips
    union all
    select
        codes_used.invoice_line_id,
        codes_found.price_name
    from codes_used
    inner join codes_found
        on
            codes_used.carrier_policy_id = codes_found.carrier_policy_id
            and codes_used.deck_row_id = codes_found.deck_row_id
            and codes_used.deck_row_id != codes_found.price_row_id
    group by codes_used.invoice_line_id, codes_found.price_name

),

prices as (

    select
        used.*,
        candidates.price_name,
        case
            when candidates.price_name = 'stated rate' then lines_reproduced.invoiced_rate_amount
            else cast(price_rows.rate_amount * coalesce(slips.rate_factor, 1) as decimal(38, 8))
        end as rate_amount,
        case
            when candidates.price_name = 'stated rate' then lines_reproduced.invoiced_rate_per_quantity
            else price_rows.rate_per_quantity * coalesce(slips.per_factor, 1)
        end as rate_per_quantity,
        price_rows.connect_fee_amount,
        price_rows.maximum_amount,
        lines_reproduced.event_rounding_decimals,
        lines_reproduced.event_rounding_mode,
        lines_reproduced.increment_rounding_decimals,
        lines_reproduced.increment_rounding_mode,
        lines_reproduced.invoiced_rate_amount,
        lines_reproduced.invoiced_rate_per_quantity
    from used
    inner join lines_reproduced
        on used.invoice_line_id = lines_reproduced.invoice_line_id
    inner join candidates
        on used.invoice_line_id = candidates.invoice_line_id
    left join codes_found
        on
            used.carrier_policy_id = codes_found.carrier_policy_id
            and used.deck_row_id = codes_found.deck_row_id
            and candidates.price_name = codes_found.price_name
    left join slips
        on candidates.price_name = slips.price_name
    inner join rate_decks as price_rows
        on coalesce(codes_found.price_row_id, used.deck_row_id) = price_rows.deck_row_id

),

usage_priced as (

    select
        prices.invoice_line_id,
        prices.price_name,
        prices.event_count,
        prices.own_rated_amount,
        prices.is_repriceable,
        prices.event_rounding_decimals,
        prices.event_rounding_mode,
        coalesce(
            cast(prices.rate_amount * prices.invoiced_rate_per_quantity as decimal(38, 8))
            = cast(prices.invoiced_rate_amount * prices.rate_per_quantity as decimal(38, 8)), true
        ) as is_at_stated_rate,
        case when prices.is_repriceable then prices.rate_per_quantity else prices.own_per_quantity end
            as per_quantity,
        {{ undivided_at(
            'prices', 'prices', 'prices.carrier_quantity',
            'prices.increment_rounding_decimals', 'prices.increment_rounding_mode'
        ) }} as undivided_amount
    from prices

),

sums as (

    {{ line_sums('usage_priced', ['invoice_line_id', 'price_name', 'event_rounding_decimals']) }}

),

stated_rates as (

    select
        invoice_line_id,
        price_name,
        bool_or(is_at_stated_rate) as is_at_stated_rate
    from usage_priced
    group by invoice_line_id, price_name

),

amounts as (

    select
        lines_reproduced.carrier_policy_id,
        lines_reproduced.invoice_line_id,
        lines_reproduced.invoiced_amount,
        sums.price_name,
        stated_rates.is_at_stated_rate,
        {{ line_amount(
            'lines_reproduced', 'sums.undivided_amount', 'sums.rounded_amount', 'sums.least_per_quantity',
            'sums.most_per_quantity', 'sums.event_rounding_decimals is not null'
        ) }} = lines_reproduced.invoiced_amount as is_reproduced
    from sums
    inner join lines_reproduced
        on sums.invoice_line_id = lines_reproduced.invoice_line_id
    inner join stated_rates
        on
            sums.invoice_line_id = stated_rates.invoice_line_id
            and sums.price_name = stated_rates.price_name

),

agreed as (

    select * from amounts
    where price_name = 'as agreed'

),

-- A deck that explains more lines of the carrier goes before one that explains fewer.
prices_scored as (

    select
        amounts.*,
        agreed.is_at_stated_rate as is_agreed_at_stated_rate,
        count_if(amounts.is_reproduced and amounts.is_at_stated_rate) over (
            partition by amounts.carrier_policy_id, amounts.price_name
        ) as explained_line_count
    from amounts
    inner join agreed
        on amounts.invoice_line_id = agreed.invoice_line_id
    where not agreed.is_reproduced and amounts.price_name != 'as agreed'

),

prices_ranked as (

    select *
    from prices_scored
    where
        is_at_stated_rate
        and (is_reproduced or not is_agreed_at_stated_rate)
        and (is_reproduced or price_name != 'shorter code')
    qualify row_number() over (
        partition by invoice_line_id
        order by
            case when is_reproduced then 0 else 1 end asc,
            case when price_name = 'stated rate' then 1 else 0 end asc,
            explained_line_count desc,
            case when price_name = 'shorter code' then 1 else 0 end asc,
            price_name asc
    ) = 1

),

prices_matched as (

    select
        prices_ranked.invoice_line_id,
        line_codes.deck_row_id,
        prices_ranked.carrier_policy_id,
        prices_ranked.price_name,
        prices_ranked.is_reproduced,
        prices_ranked.explained_line_count,
        coalesce(codes_found.price_row_id, line_codes.deck_row_id) as price_row_id,
        case when prices_ranked.price_name = 'stated rate' then lines.invoiced_rate_amount end
            as stated_rate_amount,
        case when prices_ranked.price_name = 'stated rate' then lines.invoiced_rate_per_quantity end
            as stated_rate_per_quantity,
        coalesce(slips.rate_factor, 1) as rate_factor,
        coalesce(slips.per_factor, 1) as per_factor,
        case when prices_ranked.price_name = 'shorter code' then 3 else 7 end as step_number
    from prices_ranked
    inner join lines
        on prices_ranked.invoice_line_id = lines.invoice_line_id
    left join slips
        on prices_ranked.price_name = slips.price_name
    inner join line_codes
        on prices_ranked.invoice_line_id = line_codes.invoice_line_id
    left join codes_found
        on
            prices_ranked.carrier_policy_id = codes_found.carrier_policy_id
            and line_codes.deck_row_id = codes_found.deck_row_id
            and prices_ranked.price_name = codes_found.price_name

)

select * from prices_matched
