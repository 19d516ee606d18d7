-- Fails if what is claimed or open of the lines of a dispute is not what the dispute says, or if the parts of
-- credit notes are not the notes: money would be claimed twice, or a credit lost between two disputes.
{{ config(meta={'dagster': {'ref': {'name': 'int_disputes_followed', 'package': 'tollgate'}}}) }}
with

claims_summed as (

    select
        dispute_id,
        sum(claimed_variance_amount) as claimed_amount,
        sum(open_variance_amount) as open_amount
    from {{ ref('int_variances_disputed') }}
    group by dispute_id

),

notes_summed as (

    select
        carrier_id,
        credit_currency,
        sum(credit_amount) as credit_amount
    from {{ ref('int_credit_notes_judged') }}
    where refusal_reason is null
    group by carrier_id, credit_currency

),

parts_summed as (

    select
        carrier_id,
        credit_currency,
        sum(part_amount) as credit_amount
    from {{ ref('int_credits_matched') }}
    group by carrier_id, credit_currency

)

select
    disputes.dispute_id as offender,
    disputes.claimed_amount as right_amount,
    claims_summed.claimed_amount as wrong_amount
from {{ ref('int_disputes_followed') }} as disputes
left join claims_summed
    on disputes.dispute_id = claims_summed.dispute_id
where
    disputes.dispute_amount > 0
    and (
        disputes.claimed_amount != coalesce(claims_summed.claimed_amount, 0)
        or disputes.open_amount != coalesce(claims_summed.open_amount, 0)
    )

union all

select
    coalesce(notes_summed.carrier_id, parts_summed.carrier_id) as offender,
    notes_summed.credit_amount as right_amount,
    parts_summed.credit_amount as wrong_amount
from notes_summed
full outer join parts_summed
    on
        notes_summed.carrier_id = parts_summed.carrier_id
        and notes_summed.credit_currency = parts_summed.credit_currency
where coalesce(notes_summed.credit_amount, 0) != coalesce(parts_summed.credit_amount, 0)
