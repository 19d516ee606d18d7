{% set day_terms = ['withhold_within_days', 'answer_within_days', 'deemed_accepted_days', 'look_back_days'] %}
with tolerances as (

    select
        trim(agreement_id) as agreement_id,
        upper(coalesce(trim(cause), '*')) as cause,
        try_cast(tolerance_amount as decimal(18, 6)) as tolerance_amount,
        try_cast(tolerance_ratio as decimal(9, 6)) as tolerance_ratio,
        try_cast(raise_within_days as integer) as raise_within_days,
        coalesce(try_cast(may_withhold as boolean), false) as may_withhold,
        coalesce({{ parse_whole_number('raise_after_months') }}, 3) as raise_after_months,
        raise_after_months as raise_after_text,
        try_cast(interest_ratio_per_year as decimal(9, 6)) as interest_ratio_per_year,
        interest_ratio_per_year as interest_text,
        {% for term in day_terms %}
            {{ parse_whole_number(term) }} as {{ term }},
            {{ term }} as {{ term }}_text,
        {% endfor %}
        count(*) over (
            partition by trim(agreement_id), upper(coalesce(trim(cause), '*'))
        ) as same_tolerance_count
    from {{ ref('tolerances') }}

)

select
    agreement_id,
    cause,
    case
        when agreement_id is null then 'key_missing'
        when same_tolerance_count > 1 then 'terms_overlap'
        when tolerance_amount is null or tolerance_amount < 0 then 'tolerance_unreadable'
        when tolerance_ratio is null or tolerance_ratio < 0 then 'tolerance_unreadable'
        when raise_within_days is null then 'raise_within_days_unreadable'
        when raise_after_text is not null and {{ parse_whole_number('raise_after_text') }} is null
            then 'raise_after_months_unreadable'
        when interest_text is not null and coalesce(interest_ratio_per_year < 0, true)
            then 'interest_ratio_unreadable'
        {% for term in day_terms %}
            when {{ term }}_text is not null and {{ term }} is null then '{{ term }}_unreadable'
        {% endfor %}
    end as refusal_reason,
    tolerance_amount,
    tolerance_ratio,
    raise_within_days,
    raise_after_months,
    may_withhold,
    {% for term in day_terms %}
        {{ term }},
    {% endfor %}
    interest_ratio_per_year
from tolerances
