-- One row per invoice line of which the carrier lists single calls: what those calls cost that both sides
-- know, and that agree.
with

calls_summed as (

    select
        calls.carrier_id,
        calls.service,
        calls.direction,
        calls.rated_cost_currency,
        lower(calls.destination_name) as destination_key,
        coalesce(coded.dial_code, '') as dial_code,
        calls.call_date,
        count(*) as listed_count,
        sum(case when calls.match_class in ('exact', 'partial') then 1 else 0 end) as proven_count,
        cast(coalesce(sum(
            case when calls.match_class in ('exact', 'partial') then calls.rated_cost_amount end
        ), 0) as {{ exact_amount() }}) as proven_amount
    from {{ ref('int_calls_matched') }} as calls
    left join {{ ref('int_events_coded') }} as coded
        on calls.event_id = coded.event_id
    where calls.cdr_id is not null and calls.event_id is not null
    group by
        calls.carrier_id, calls.service, calls.direction, calls.rated_cost_currency,
        lower(calls.destination_name), coalesce(coded.dial_code, ''), calls.call_date

),

days_covered as (

    select distinct
        carrier_id,
        service,
        direction,
        rated_cost_currency,
        lower(destination_name) as destination_key,
        coalesce(dial_code, '') as dial_code,
        carrier_local_date,
        invoice_line_id
    from {{ ref('int_costs_expected') }}
    where invoice_line_id is not null

),

call_proofs_summed as (

    select
        days_covered.invoice_line_id,
        calls_summed.rated_cost_currency as proven_currency,
        sum(calls_summed.listed_count) as listed_count,
        sum(calls_summed.proven_count) as proven_count,
        cast(sum(calls_summed.proven_amount) as {{ exact_amount() }}) as proven_amount
    from calls_summed
    inner join days_covered
        on
            calls_summed.carrier_id = days_covered.carrier_id
            and calls_summed.service = days_covered.service
            and calls_summed.direction = days_covered.direction
            and calls_summed.rated_cost_currency = days_covered.rated_cost_currency
            and calls_summed.destination_key = days_covered.destination_key
            and calls_summed.dial_code = days_covered.dial_code
            and calls_summed.call_date = days_covered.carrier_local_date
    group by days_covered.invoice_line_id, calls_summed.rated_cost_currency

)

select * from call_proofs_summed
