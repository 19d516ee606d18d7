-- A row gives a ratio of something, a fixed amount for each unit, or the cost with something on it.
{% set amounts = ['floor_amount', 'cap_amount', 'guarantee_amount'] %}

with

share_tiers as (

    select
        rule_id,
        count_if(refusal_reason is not null) as refused_count,
        max(share_ratio) as highest_ratio,
        max(unit_amount) as highest_unit_amount
    from {{ ref('stg_terms__revenue_share_tiers') }}
    group by rule_id

),

revenue_shares as (

    select
        trim(rule_id) as rule_id,
        trim(seller_partner_id) as seller_partner_id,
        trim(service) as service,
        trim(beneficiary_partner_id) as beneficiary_partner_id,
        lower(trim(participant_role)) as participant_role,
        coalesce(lower(trim(share_kind)), 'ratio') as share_kind,
        lower(trim(share_basis)) as basis_text,
        coalesce(lower(trim(share_basis)), 'gross') as share_basis,
        {{ parse_whole_number("coalesce(step, '1')") }} as step,
        {{ parse_whole_number("coalesce(priority, '1')") }} as priority,
        try_cast(coalesce(trim(is_exclusive), 'false') as boolean) as is_exclusive,
        share_ratio as ratio_text,
        try_cast(share_ratio as decimal(9, 6)) as share_ratio,
        try_cast(share_ratio as decimal(38, 18)) as ratio_written,
        unit_amount as unit_text,
        try_cast({{ number_written('unit_amount') }} as decimal(18, 8)) as unit_amount,
        {{ number_written('unit_amount') }} as unit_written,
        priced_per_quantity as per_text,
        {{ parse_whole_number("coalesce(priced_per_quantity, '1')") }} as priced_per_quantity,
        {% for amount in amounts %}
            {{ amount }} as {{ amount }}_text,
            try_cast({{ number_written(amount) }} as decimal(18, 6)) as {{ amount }},
            {{ number_written(amount) }} as {{ amount }}_written,
        {% endfor %}
        try_cast(valid_from_date as date) as valid_from_date,
        coalesce(try_cast(valid_until_date as date), date '9999-12-31') as valid_until_date,
        valid_until_date as valid_until_text
    from {{ ref('revenue_shares') }}

),

shares_identified as (

    select
        revenue_shares.*,
        revenue_shares.rule_id || ':' || revenue_shares.seller_partner_id || ':' || revenue_shares.service
        || ':' || coalesce(revenue_shares.beneficiary_partner_id, '*')
        || ':' || coalesce(revenue_shares.participant_role, '*')
        || ':' || cast(revenue_shares.valid_from_date as string) as share_row_id,
        coalesce(revenue_shares.participant_role, '') as role_key,
        coalesce(revenue_shares.beneficiary_partner_id, '') as beneficiary_key,
        -- Tiers say what a row leaves open.
        revenue_shares.ratio_text is null and revenue_shares.unit_text is null
        and share_tiers.rule_id is not null as has_tiers,
        share_tiers.refused_count,
        share_tiers.highest_ratio,
        share_tiers.highest_unit_amount,
        -- The most that a row can take of what it is taken from, whatever the cost; in millionths.
        case
            when revenue_shares.share_kind = 'ratio' and revenue_shares.ratio_text is null
                then cast(greatest(coalesce(share_tiers.highest_ratio, 0), 0) * 1000000 as integer)
            when revenue_shares.share_kind = 'ratio'
                then cast(greatest(coalesce(revenue_shares.share_ratio, 0), 0) * 1000000 as integer)
            else 0
        end as millionths
    from revenue_shares
    left join share_tiers
        on revenue_shares.rule_id = share_tiers.rule_id

),

-- Which rows of a seller and service can hold together on the day on which one of them starts: up to an
-- exclusive row and its priority, or all that are not exclusive.
days_started as (

    select distinct
        seller_partner_id,
        service,
        valid_from_date as first_date
    from shares_identified

),

last_priorities as (

    select distinct
        days_started.seller_partner_id,
        days_started.service,
        days_started.first_date,
        shares_identified.priority as last_priority
    from days_started
    inner join shares_identified
        on
            days_started.seller_partner_id = shares_identified.seller_partner_id
            and days_started.service = shares_identified.service
            and days_started.first_date >= shares_identified.valid_from_date
            and days_started.first_date < shares_identified.valid_until_date
    where shares_identified.is_exclusive
    union all
    select
        seller_partner_id,
        service,
        first_date,
        cast(null as integer) as last_priority
    from days_started

),

rows_together as (

    select
        last_priorities.seller_partner_id,
        last_priorities.service,
        last_priorities.first_date,
        coalesce(last_priorities.last_priority, -1) as last_priority,
        shares_identified.step,
        case
            when shares_identified.share_basis in ('gross', 'net_of_cost') then shares_identified.millionths
            else 0
        end as of_whole,
        case
            when shares_identified.share_basis in ('remainder', 'margin') then shares_identified.millionths
            else 0
        end as of_rest,
        shares_identified.share_row_id,
        shares_identified.valid_from_date
    from last_priorities
    inner join shares_identified
        on
            last_priorities.seller_partner_id = shares_identified.seller_partner_id
            and last_priorities.service = shares_identified.service
            and last_priorities.first_date >= shares_identified.valid_from_date
            and last_priorities.first_date < shares_identified.valid_until_date
            and (
                coalesce(last_priorities.last_priority, -1) = shares_identified.priority
                or (
                    not coalesce(shares_identified.is_exclusive, false)
                    and coalesce(last_priorities.last_priority, shares_identified.priority + 1)
                    > shares_identified.priority
                )
            )

),

-- Step by step what is left of the whole where the carrier cost nothing: of 1, of a millionth, of its
-- millionth and so on, so that nothing is rounded.
steps_summed as (

    select
        {% for step in share_steps() %}
            cast(sum(case when step = {{ step }} then of_whole else 0 end) as {{ wide_integer() }})
                as of_whole_{{ step }},
            cast(sum(case when step = {{ step }} then of_rest else 0 end) as {{ wide_integer() }})
                as of_rest_{{ step }},
        {% endfor %}
        seller_partner_id,
        service,
        first_date,
        last_priority
    from rows_together
    group by seller_partner_id, service, first_date, last_priority

),

{% for step in share_steps() %}
    left_after_step_{{ step }} as (

        select
            *,
            {{ '1' if loop.first else 'left_' ~ loop.previtem }} * (1000000 - of_rest_{{ step }})
            - of_whole_{{ step }} * {{ wide_integer_of_millionths(loop.index0) }} as left_{{ step }}
        from {{ 'steps_summed' if loop.first else 'left_after_step_' ~ loop.previtem }}

    ),
{% endfor %}

-- A later row that tips the sum over the whole is refused; what held before goes on.
rows_in_excess as (

    select distinct rows_together.share_row_id
    from rows_together
    inner join left_after_step_{{ share_steps() | last }} as sums
        on
            rows_together.seller_partner_id = sums.seller_partner_id
            and rows_together.service = sums.service
            and rows_together.first_date = sums.first_date
            and rows_together.last_priority = sums.last_priority
    where
        rows_together.first_date = rows_together.valid_from_date
        and (
            {% for step in share_steps() %}
                sums.left_{{ step }} < 0 {{ 'or' if not loop.last }}
            {% endfor %}
        )

),

-- Whoever has a role has a share by one row of a rule: one for all who have it, or one of its own.
rows_named_twice as (

    select distinct shares_identified.share_row_id
    from shares_identified
    inner join shares_identified as of_everybody
        on
            shares_identified.rule_id = of_everybody.rule_id
            and shares_identified.seller_partner_id = of_everybody.seller_partner_id
            and shares_identified.service = of_everybody.service
            and shares_identified.participant_role = of_everybody.participant_role
            and shares_identified.valid_from_date < of_everybody.valid_until_date
            and shares_identified.valid_until_date > of_everybody.valid_from_date
    where shares_identified.beneficiary_partner_id is not null and of_everybody.beneficiary_partner_id is null

),

neighbours_seen as (

    select
        shares_identified.*,
        rows_in_excess.share_row_id is not null as is_in_excess,
        rows_named_twice.share_row_id is not null as is_named_twice,
        max(shares_identified.valid_until_date) over (
            partition by
                shares_identified.rule_id, shares_identified.seller_partner_id, shares_identified.service,
                shares_identified.beneficiary_key, shares_identified.role_key
            order by shares_identified.valid_from_date nulls last, shares_identified.valid_until_date
            rows between unbounded preceding and 1 preceding
        ) as previous_until_date
    from shares_identified
    left join rows_in_excess
        on shares_identified.share_row_id = rows_in_excess.share_row_id
    left join rows_named_twice
        on shares_identified.share_row_id = rows_named_twice.share_row_id

)

select
    share_row_id,
    rule_id,
    seller_partner_id,
    service,
    beneficiary_partner_id,
    participant_role,
    share_kind,
    share_basis,
    step,
    priority,
    is_exclusive,
    has_tiers,
    case
        when
            rule_id is null or seller_partner_id is null or service is null
            or coalesce(beneficiary_partner_id, participant_role) is null
            then 'key_missing'
        when previous_until_date > valid_from_date or is_named_twice then 'terms_overlap'
        when not ({{ is_role('participant_role') }}) then 'participant_role_unreadable'
        when share_kind not in ('ratio', 'fixed_per_unit', 'cost_plus') then 'share_kind_unknown'
        when share_basis not in ('gross', 'net_of_cost', 'remainder', 'margin') then 'share_basis_unknown'
        when coalesce(step, 0) not in ({{ share_steps() | join(', ') }}) then 'step_unreadable'
        when priority is null then 'priority_unreadable'
        when is_exclusive is null then 'is_exclusive_unreadable'
        -- What the kind cannot apply would be left out unseen.
        when
            (share_kind != 'ratio' and basis_text is not null)
            or (share_kind != 'fixed_per_unit' and (unit_text is not null or per_text is not null))
            or (share_kind = 'fixed_per_unit' and ratio_text is not null)
            or (has_tiers and share_kind = 'fixed_per_unit' and highest_ratio is not null)
            or (has_tiers and share_kind != 'fixed_per_unit' and highest_unit_amount is not null)
            then 'column_not_of_this_share_kind'
        when has_tiers and refused_count > 0 then 'tier_refused'
        when
            not has_tiers and share_kind != 'fixed_per_unit'
            and (share_ratio is null or share_ratio < 0 or (share_kind = 'ratio' and share_ratio = 0))
            then 'share_ratio_unreadable'
        when ratio_written != share_ratio then 'share_ratio_has_more_than_6_decimals'
        when not has_tiers and share_kind = 'fixed_per_unit' and coalesce(unit_amount, 0) <= 0
            then 'unit_amount_unreadable'
        when unit_written != unit_amount then 'unit_amount_has_more_than_8_decimals'
        when coalesce(priced_per_quantity, 0) < 1 then 'priced_per_quantity_unreadable'
        {% for amount in amounts %}
            when
                {{ amount }}_text is not null
                and (
                    {{ amount }} is null or {{ amount }} < 0 or {{ amount }}_written != {{ amount }}
                )
                then '{{ amount }}_unreadable'
        {% endfor %}
        when cap_amount < floor_amount then 'cap_below_floor'
        when guarantee_amount is not null and beneficiary_partner_id is null then 'guarantee_of_a_role'
        when is_in_excess then 'shares_exceed_the_whole'
        when {{ is_validity_unreadable() }} then 'validity_unreadable'
    end as refusal_reason,
    share_ratio,
    unit_amount,
    priced_per_quantity,
    floor_amount,
    cap_amount,
    guarantee_amount,
    valid_from_date,
    valid_until_date
from neighbours_seen
