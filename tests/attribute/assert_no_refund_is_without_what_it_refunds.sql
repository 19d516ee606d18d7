-- Fails if a group of refunds leads to a month and agreement in which the service was shared, and to no group
-- there: its participants would be others than those of what is refunded, and keep their whole shares.
{{ config(meta={'dagster': {'ref': {'name': 'int_transactions_grouped', 'package': 'tollgate'}}}) }}
with

transaction_groups as (

    select * from {{ ref('int_transactions_grouped') }}

),

originals as (

    select distinct
        origin_agreement_id,
        origin_period_date,
        service,
        participants
    from transaction_groups
    where is_origin and holds_originals

),

months_shared as (

    select distinct
        origin_agreement_id,
        origin_period_date,
        service
    from originals

)

select
    transaction_groups.transaction_group_id,
    transaction_groups.gross_amount
from transaction_groups
inner join months_shared
    on
        transaction_groups.origin_agreement_id = months_shared.origin_agreement_id
        and transaction_groups.origin_period_date = months_shared.origin_period_date
        and transaction_groups.service = months_shared.service
left join originals
    on
        transaction_groups.origin_agreement_id = originals.origin_agreement_id
        and transaction_groups.origin_period_date = originals.origin_period_date
        and transaction_groups.service = originals.service
        and transaction_groups.participants = originals.participants
where not transaction_groups.holds_originals and originals.origin_agreement_id is null
