-- What is open between us and each party: settlements and statements less what was paid of them, and what was
-- paid without one; in the currency of netting where that is another one. All that is due until a day is the
-- sum of the rows with a due date until then.
with

both_roles as (

    select party_id
    from {{ ref('stg_terms__parties') }}
    where is_carrier and is_partner and refusal_reason is null

),

-- A payment that names an invoice has paid the settlement of that invoice.
documents_stated as (

    select
        carrier_id as party_id,
        'carrier' as settled_by,
        settlement_currency as item_currency,
        'settlement' as document_type,
        carrier_settlement_id as document_id,
        payable_amount > receivable_amount as is_payable,
        abs(payable_amount - receivable_amount) as document_amount,
        least(greatest(paid_amount, 0), payable_amount) as named_amount,
        period_start_date,
        due_date
    from {{ ref('int_carrier_bills_settled') }}
    where payable_amount != receivable_amount
    union all
    select
        partner_id as party_id,
        case when payable_amount > receivable_amount then 'share' else 'partner' end as settled_by,
        statement_currency as item_currency,
        'statement' as document_type,
        statement_id as document_id,
        payable_amount > receivable_amount as is_payable,
        abs(payable_amount - receivable_amount) as document_amount,
        0 as named_amount,
        period_start_date,
        due_date
    from {{ ref('int_statements_totalled') }}
    where payable_amount != receivable_amount

),

documents_netted as (

    select
        stated.party_id,
        stated.settled_by,
        coalesce(nettings.netting_currency, stated.item_currency) as item_currency,
        stated.document_type,
        stated.document_id,
        stated.is_payable,
        case
            when nettings.document_id is null then stated.document_amount
            else abs(nettings.netted_payable_amount - nettings.netted_receivable_amount)
        end as document_amount,
        stated.named_amount,
        stated.period_start_date,
        stated.due_date
    from documents_stated as stated
    left join {{ ref('int_nettings_converted') }} as nettings
        on
            stated.document_id = nettings.document_id
            and stated.document_type
            = case nettings.party_role when 'carrier' then 'settlement' else 'statement' end
            and nettings.is_converted

),

documents as (

    select
        netted.party_id,
        netted.settled_by,
        netted.item_currency,
        netted.document_type,
        netted.document_id,
        netted.is_payable,
        netted.document_amount,
        netted.named_amount,
        netted.period_start_date,
        -- What is netted falls due as one, or the side that is due first would be paid in full.
        case
            when both_roles.party_id is null then netted.due_date
            else max(netted.due_date) over (
                partition by netted.party_id, netted.period_start_date, netted.item_currency
            )
        end as due_date
    from documents_netted as netted
    left join both_roles
        on netted.party_id = both_roles.party_id

),

payments as (

    select
        party_id,
        settles as settled_by,
        payment_currency as item_currency,
        sum(case when direction = 'paid' then paid_amount else -paid_amount end) as paid_amount,
        max(value_date) as last_value_date
    from {{ ref('int_payments_collected') }}
    where refusal_reason is null
    group by party_id, settles, payment_currency

),

named as (

    select
        party_id,
        settled_by,
        item_currency,
        sum(named_amount) as named_amount
    from documents
    group by party_id, settled_by, item_currency

),

-- Money that names nothing: what went out pays what we owe, what came in pays what is owed to us.
unnamed as (

    select
        payments.party_id,
        payments.settled_by,
        payments.item_currency,
        payments.paid_amount - coalesce(named.named_amount, 0) as unnamed_amount,
        payments.last_value_date
    from payments
    left join named
        on
            payments.party_id = named.party_id
            and payments.settled_by = named.settled_by
            and payments.item_currency = named.item_currency

),

documents_queued as (

    select
        documents.*,
        greatest(
            case when documents.is_payable then unnamed.unnamed_amount else -unnamed.unnamed_amount end, 0
        ) as unnamed_amount,
        -- The oldest is paid first; what has no due date comes last.
        sum(documents.document_amount - documents.named_amount) over (
            partition by
                documents.party_id, documents.settled_by, documents.item_currency, documents.is_payable
            order by coalesce(documents.due_date, date '9999-12-31'), documents.document_id
            rows between unbounded preceding and current row
        ) as queued_amount
    from documents
    left join unnamed
        on
            documents.party_id = unnamed.party_id
            and documents.settled_by = unnamed.settled_by
            and documents.item_currency = unnamed.item_currency

),

documents_cleared as (

    select
        *,
        -- Of what names nothing, the part that the documents before this one have left.
        named_amount + least(
            greatest(
                coalesce(unnamed_amount, 0) - (queued_amount - (document_amount - named_amount)), 0
            ),
            document_amount - named_amount
        ) as cleared_amount
    from documents_queued

),

spent as (

    select
        party_id,
        settled_by,
        item_currency,
        sum(case when is_payable then cleared_amount - named_amount else named_amount - cleared_amount end)
            as spent_amount
    from documents_cleared
    group by party_id, settled_by, item_currency

),

on_account as (

    select
        unnamed.party_id,
        unnamed.settled_by,
        unnamed.item_currency,
        unnamed.unnamed_amount - coalesce(spent.spent_amount, 0) as left_amount,
        unnamed.last_value_date
    from unnamed
    left join spent
        on
            unnamed.party_id = spent.party_id
            and unnamed.settled_by = spent.settled_by
            and unnamed.item_currency = spent.item_currency

),

items as (

    select
        party_id,
        settled_by,
        item_currency,
        document_type,
        document_id,
        document_amount,
        cleared_amount,
        case when is_payable then document_amount - cleared_amount else 0 end as payable_amount,
        case when is_payable then 0 else document_amount - cleared_amount end as receivable_amount,
        period_start_date,
        due_date
    from documents_cleared
    where cleared_amount != document_amount
    union all
    select
        party_id,
        settled_by,
        item_currency,
        'on_account' as document_type,
        null as document_id,
        abs(left_amount) as document_amount,
        0 as cleared_amount,
        greatest(-left_amount, 0) as payable_amount,
        greatest(left_amount, 0) as receivable_amount,
        null as period_start_date,
        -- What was paid ahead is not paid back: it stays for the documents to come.
        case
            when settled_by = 'partner' and left_amount < 0 then null
            when settled_by = 'carrier' and left_amount > 0 then null
            else last_value_date
        end as due_date
    from on_account
    where left_amount != 0

),

fct_open_items as (

    select
        items.party_id || ':' || items.settled_by || ':' || items.item_currency
        || ':' || coalesce(items.document_id, items.document_type) as open_item_id,
        items.party_id,
        case when both_roles.party_id is null then items.settled_by else 'net' end as paid_as,
        items.document_type,
        items.document_id,
        cast(items.document_amount as decimal(18, 6)) as document_amount,
        cast(items.cleared_amount as decimal(18, 6)) as cleared_amount,
        cast(items.payable_amount as decimal(18, 6)) as payable_amount,
        cast(items.receivable_amount as decimal(18, 6)) as receivable_amount,
        items.item_currency,
        cast(items.period_start_date as date) as period_start_date,
        cast(items.due_date as date) as due_date
    from items
    left join both_roles
        on items.party_id = both_roles.party_id

)

select * from fct_open_items
