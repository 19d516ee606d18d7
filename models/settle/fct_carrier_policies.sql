with fct_carrier_policies as (

    select
        carrier_policy_id,
        carrier_id,
        billing_period_id,
        service,
        direction,
        agreed_policy_name,
        deviating_policy_name,
        deviating_increments_name,
        deviating_counting_name,
        deviating_rounding_name,
        deviating_price_name,
        runner_up_name,
        cast(line_count as bigint) as line_count,
        cast(agreed_line_count as bigint) as agreed_line_count,
        cast(deviating_line_count as bigint) as deviating_line_count,
        cast(reproduced_line_count as bigint) as reproduced_line_count,
        cast(lead_line_count as bigint) as lead_line_count,
        reproduces_from_date
    from {{ ref('int_policies_scored') }}

)

select * from fct_carrier_policies
