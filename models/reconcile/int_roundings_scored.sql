-- One row per carrier agreement, service, direction and billing period with questioned lines: which other
-- rounding of single events or increments reproduces the amount of most lines, with the usage and the
-- increments of the carrier. Only lines whose events and quantity are reproduced can tell; a line that
-- states neither is reached by some rounding too often by chance.
{% set usage = ref('int_usage_rebilled') %}
with

lines as (

    select * from {{ ref('int_lines_questioned') }}
    where invoiced_event_count is not null or invoiced_quantity is not null

),

rate_decks as (

    select * from {{ ref('int_rate_decks_resolved') }}

),

rating_terms as (

    select * from {{ ref('int_rating_terms_resolved') }}

),

used as (

    select
        *,
        carrier_minimum_quantity as minimum_quantity,
        carrier_increment_quantity as increment_quantity
    from {{ usage }}
    where is_counted_in_period and end_step > 8

),

lines_reproduced as (

    {{ lines_reproduced('lines', 'used') }}

),

roundings as (

    select
        agreement_id,
        service,
        direction,
        'as agreed' as policy_name,
        event_rounding_decimals,
        rounding_mode as event_rounding_mode,
        increment_rounding_decimals,
        increment_rounding_mode,
        true as is_agreed
    from rating_terms
    union all
    select
        rating_terms.agreement_id,
        rating_terms.service,
        rating_terms.direction,
        candidates.policy_name,
        case when candidates.rounded_what = 'event' then candidates.rounding_decimals end
            as event_rounding_decimals,
        case
            when candidates.rounded_what = 'event' then candidates.rounding_mode
            else rating_terms.rounding_mode
        end as event_rounding_mode,
        case when candidates.rounded_what = 'increment' then candidates.rounding_decimals end
            as increment_rounding_decimals,
        case when candidates.rounded_what = 'increment' then candidates.rounding_mode end
            as increment_rounding_mode,
        false as is_agreed
    from rating_terms
    cross join {{ ref('billing_roundings') }} as candidates

),

usage_priced as (

    select
        used.invoice_line_id,
        used.event_count,
        used.own_rated_amount,
        used.is_repriceable,
        roundings.policy_name,
        roundings.event_rounding_decimals,
        roundings.event_rounding_mode,
        used.own_per_quantity as per_quantity,
        {{ undivided_at(
            'used', 'rate_decks', 'used.carrier_quantity',
            'roundings.increment_rounding_decimals', 'roundings.increment_rounding_mode'
        ) }} as undivided_amount
    from used
    inner join lines_reproduced
        on used.invoice_line_id = lines_reproduced.invoice_line_id
    inner join rate_decks
        on used.deck_row_id = rate_decks.deck_row_id
    inner join roundings
        on
            lines_reproduced.agreement_id = roundings.agreement_id
            and lines_reproduced.service = roundings.service
            and lines_reproduced.direction = roundings.direction

),

sums as (

    {{ line_sums('usage_priced', ['invoice_line_id', 'policy_name', 'event_rounding_decimals']) }}

),

amounts as (

    select
        lines_reproduced.carrier_policy_id,
        lines_reproduced.invoice_line_id,
        lines_reproduced.scope_line_count,
        lines_reproduced.invoiced_amount,
        sums.policy_name,
        {{ line_amount(
            'lines_reproduced', 'sums.undivided_amount', 'sums.rounded_amount', 'sums.least_per_quantity',
            'sums.most_per_quantity', 'sums.event_rounding_decimals is not null'
        ) }} as amount
    from sums
    inner join lines_reproduced
        on sums.invoice_line_id = lines_reproduced.invoice_line_id

),

candidates_scored as (

    select
        amounts.carrier_policy_id,
        amounts.policy_name,
        max(amounts.scope_line_count) as scope_line_count,
        sum(amounts.amount) as amount,
        count_if(amounts.amount = amounts.invoiced_amount) as reproduced_line_count,
        count_if(agreed.amount != amounts.invoiced_amount) as deviating_line_count,
        count_if(amounts.amount = amounts.invoiced_amount and agreed.amount != amounts.invoiced_amount)
            as gained_line_count,
        count_if(amounts.amount != amounts.invoiced_amount and agreed.amount = amounts.invoiced_amount)
            as lost_line_count
    from amounts
    inner join amounts as agreed
        on
            amounts.invoice_line_id = agreed.invoice_line_id
            and agreed.policy_name = 'as agreed'
    group by amounts.carrier_policy_id, amounts.policy_name

),

-- Candidates that lead to the same sum are one.
candidates_told_apart as (

    select *
    from candidates_scored
    qualify row_number() over (
        partition by carrier_policy_id, amount, reproduced_line_count
        order by case when policy_name = 'as agreed' then 0 else 1 end asc, policy_name asc
    ) = 1

),

candidates_ranked as (

    select
        *,
        row_number() over (
            partition by carrier_policy_id
            order by
                reproduced_line_count desc, case when policy_name = 'as agreed' then 0 else 1 end asc,
                policy_name asc
        ) as candidate_rank
    from candidates_told_apart

),

scopes as (

    select
        carrier_policy_id,
        min(agreement_id) as agreement_id,
        min(service) as service,
        min(direction) as direction
    from lines
    group by carrier_policy_id

),

roundings_scored as (

    select
        winners.carrier_policy_id,
        winners.policy_name,
        roundings.event_rounding_decimals,
        roundings.event_rounding_mode,
        roundings.increment_rounding_decimals,
        roundings.increment_rounding_mode,
        winners.deviating_line_count,
        winners.reproduced_line_count,
        winners.gained_line_count,
        runners_up.policy_name as runner_up_name,
        coalesce(runners_up.reproduced_line_count, 0) as runner_up_line_count,
        winners.policy_name != 'as agreed'
        and {{ is_explanation(
            'winners.gained_line_count', 'winners.lost_line_count', 'winners.deviating_line_count',
            'winners.scope_line_count'
        ) }} as is_adopted
    from candidates_ranked as winners
    inner join scopes
        on winners.carrier_policy_id = scopes.carrier_policy_id
    inner join roundings
        on
            scopes.agreement_id = roundings.agreement_id
            and scopes.service = roundings.service
            and scopes.direction = roundings.direction
            and winners.policy_name = roundings.policy_name
    left join candidates_ranked as runners_up
        on
            winners.carrier_policy_id = runners_up.carrier_policy_id
            and runners_up.candidate_rank = 2
    where winners.candidate_rank = 1

)

select * from roundings_scored
