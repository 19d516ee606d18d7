with

known_options as (

    select * from {{ ref('plan_option_kinds') }}

),

plans as (

    select
        plan_id,
        pricing_model
    from {{ ref('stg_terms__plans') }}

),

options as (

    select
        trim(plan_id) as plan_id,
        lower(trim({{ quoted('option') }})) as option_name,
        trim({{ quoted('value') }}) as option_value,
        count(*) over (partition by trim(plan_id), lower(trim({{ quoted('option') }}))) as same_option_count
    from {{ ref('plan_options') }}

),

-- A plan that is there twice is refused as a whole; its options still belong to one model.
models_named as (

    select
        plan_id,
        min(pricing_model) as pricing_model
    from plans
    group by plan_id

),

values_read as (

    select
        options.*,
        known_options.value_kind,
        known_options.choices,
        known_options.pricing_models,
        models_named.pricing_model,
        {{ number_written('options.option_value') }} as number_written
    from options
    left join known_options
        on options.option_name = known_options.option_name
    left join models_named
        on options.plan_id = models_named.plan_id

),

values_judged as (

    select
        *,
        case value_kind
            when 'choice' then ' ' || choices || ' ' like '% ' || lower(option_value) || ' %'
            when 'flag' then lower(option_value) in ('true', 'false')
            when 'count' then {{ parse_whole_number('option_value') }} is not null
            when 'decimals' then {{ parse_whole_number('option_value') }} between 0 and 12
            when 'quantity_decimals'
                then number_written between -6 and 6 and number_written = try_cast(number_written as integer)
            when 'share' then number_written between 0 and 1
            when 'factor' then number_written > 0 and number_written < 1000000000
            else number_written between 0 and 9999999999
        end as is_readable,
        case value_kind
            when 'amount' then cast(number_written as decimal(38, 8)) != number_written
            when 'quantity' then cast(number_written as decimal(38, 6)) != number_written
            when 'ratio' then cast(number_written as decimal(38, 6)) != number_written
            when 'share' then cast(number_written as decimal(38, 6)) != number_written
            when 'factor' then cast(number_written as decimal(38, 6)) != number_written
            else false
        end as is_cut
    from values_read

)

select
    plan_id,
    option_name,
    lower(option_value) as option_value,
    case
        when plan_id is null or option_name is null then 'key_missing'
        when value_kind is null then 'option_unknown'
        when same_option_count > 1 then 'option_repeated'
        when pricing_models != '*' and ' ' || pricing_models || ' ' not like '% ' || pricing_model || ' %'
            then 'option_of_another_model'
        when option_value is null then 'value_missing'
        when not coalesce(is_readable, false) then 'value_unreadable'
        when is_cut then 'value_has_too_many_decimals'
    end as refusal_reason
from values_judged
