with

sides_summed as (

    select
        party_id,
        period_start_date,
        netting_currency,
        {% for role in ['carrier', 'partner'] %}
            {% for side in ['payable', 'receivable'] %}
                sum(case when party_role = '{{ role }}' then netted_{{ side }}_amount else 0 end)
                    as {{ role }}_{{ side }}_amount,
            {% endfor %}
        {% endfor %}
        sum(netted_payable_amount - netted_receivable_amount) as owed_amount
    from {{ ref('int_nettings_converted') }}
    group by party_id, period_start_date, netting_currency

),

fct_netting_statements as (

    select
        party_id || ':' || {{ month_name_of('period_start_date') }} || ':' || netting_currency
            as netting_statement_id,
        party_id,
        cast(carrier_payable_amount as decimal(18, 6)) as carrier_payable_amount,
        cast(carrier_receivable_amount as decimal(18, 6)) as carrier_receivable_amount,
        cast(partner_payable_amount as decimal(18, 6)) as partner_payable_amount,
        cast(partner_receivable_amount as decimal(18, 6)) as partner_receivable_amount,
        cast(greatest(owed_amount, 0) as decimal(18, 6)) as net_payable_amount,
        cast(greatest(-owed_amount, 0) as decimal(18, 6)) as net_receivable_amount,
        netting_currency,
        period_start_date
    from sides_summed

)

select * from fct_netting_statements
