with fct_netting_lines as (

    select
        party_role || ':' || document_id as netting_line_id,
        party_id || ':' || {{ month_name_of('period_start_date') }} || ':' || netting_currency
            as netting_statement_id,
        party_id,
        party_role,
        document_id,
        cast(payable_amount as decimal(18, 6)) as payable_amount,
        cast(receivable_amount as decimal(18, 6)) as receivable_amount,
        document_currency,
        cast(netted_payable_amount as decimal(18, 6)) as netted_payable_amount,
        cast(netted_receivable_amount as decimal(18, 6)) as netted_receivable_amount,
        netting_currency,
        is_rate_missing,
        is_rate_provisional,
        cast(case when is_converted then document_units_per_base end as decimal(18, 8))
            as document_units_per_base,
        cast(case when is_converted then netting_units_per_base end as decimal(18, 8))
            as netting_units_per_base,
        fx_date,
        rate_date,
        period_start_date
    from {{ ref('int_nettings_converted') }}

)

select * from fct_netting_lines
