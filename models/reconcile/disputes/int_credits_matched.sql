-- One row per credit note and cause, and dispute that it answers; what answers none is a row of its own. A
-- note that names a cause answers the disputes of its invoice and cause, month by month; one that names none
-- answers all open disputes of its invoice where it comes to their sum, or the only one that comes to its
-- amount. A note that exceeds its dispute is refused, whole, and so are those after it; and so is one in the
-- currency of a version that no longer counts.
with

notes as (

    select
        carrier_id || ':' || credit_note_number || ':' || invoice_number || ':' || coalesce(cause, '')
        || ':' || credit_currency as credit_id,
        carrier_id,
        credit_note_number,
        carrier_id || ':' || invoice_number as invoice_id,
        cause,
        credit_currency,
        cast(sum(credit_amount) as {{ exact_amount() }}) as credit_amount,
        max(issue_date) as issue_date
    from {{ ref('int_credit_notes_judged') }}
    where refusal_reason is null
    group by carrier_id, credit_note_number, invoice_number, cause, credit_currency

),

-- What a dispute may be credited with: what it comes to, or what was claimed when it was raised.
disputes as (

    select
        dispute_id,
        invoice_id,
        cause,
        dispute_currency,
        period_start_date,
        greatest(dispute_amount, coalesce(raised_amount, 0)) as claimable_amount
    from {{ ref('int_disputes_raised') }}

),

disputes_in_turn as (

    select
        *,
        sum(claimable_amount) over (
            partition by invoice_id, cause, dispute_currency
            order by period_start_date
            rows between unbounded preceding and current row
        ) as until_amount,
        sum(claimable_amount) over (partition by invoice_id, cause, dispute_currency) as cause_amount
    from disputes

),

notes_in_turn as (

    select
        *,
        sum(credit_amount) over (
            partition by invoice_id, cause, credit_currency
            order by issue_date, credit_note_number
            rows between unbounded preceding and current row
        ) as until_amount
    from notes
    where cause is not null

),

causes as (

    select distinct
        invoice_id,
        cause,
        dispute_currency,
        cause_amount
    from disputes_in_turn

),

notes_judged as (

    select
        notes_in_turn.*,
        causes.cause_amount,
        coalesce(notes_in_turn.until_amount > causes.cause_amount, false) as is_too_much
    from notes_in_turn
    left join causes
        on
            notes_in_turn.invoice_id = causes.invoice_id
            and notes_in_turn.cause = causes.cause
            and notes_in_turn.credit_currency = causes.dispute_currency

),

matches_by_cause as (

    select
        notes_judged.credit_id,
        disputes_in_turn.dispute_id,
        least(notes_judged.until_amount, disputes_in_turn.until_amount)
        - greatest(
            notes_judged.until_amount - notes_judged.credit_amount,
            disputes_in_turn.until_amount - disputes_in_turn.claimable_amount
        ) as matched_amount
    from notes_judged
    inner join disputes_in_turn
        on
            notes_judged.invoice_id = disputes_in_turn.invoice_id
            and notes_judged.cause = disputes_in_turn.cause
            and notes_judged.credit_currency = disputes_in_turn.dispute_currency
            and notes_judged.until_amount
            > disputes_in_turn.until_amount - disputes_in_turn.claimable_amount
            and notes_judged.until_amount - notes_judged.credit_amount < disputes_in_turn.until_amount
    where not notes_judged.is_too_much

),

credited_by_cause as (

    select
        dispute_id,
        sum(matched_amount) as matched_amount
    from matches_by_cause
    group by dispute_id

),

disputes_left as (

    select
        disputes.dispute_id,
        disputes.invoice_id,
        disputes.dispute_currency,
        disputes.claimable_amount - coalesce(credited_by_cause.matched_amount, 0) as left_amount
    from disputes
    left join credited_by_cause
        on disputes.dispute_id = credited_by_cause.dispute_id
    where disputes.claimable_amount > coalesce(credited_by_cause.matched_amount, 0)

),

invoices_left as (

    select
        invoice_id,
        dispute_currency,
        sum(left_amount) as left_amount
    from disputes_left
    group by invoice_id, dispute_currency

),

amounts_left as (

    select
        invoice_id,
        dispute_currency,
        left_amount,
        min(dispute_id) as dispute_id
    from disputes_left
    group by invoice_id, dispute_currency, left_amount
    having count(*) = 1

),

notes_without_cause as (

    select
        notes.*,
        coalesce(notes.credit_amount = invoices_left.left_amount, false) as is_sum,
        amounts_left.dispute_id
    from notes
    left join invoices_left
        on
            notes.invoice_id = invoices_left.invoice_id
            and notes.credit_currency = invoices_left.dispute_currency
    left join amounts_left
        on
            notes.invoice_id = amounts_left.invoice_id
            and notes.credit_currency = amounts_left.dispute_currency
            and notes.credit_amount = amounts_left.left_amount
    where notes.cause is null

),

-- A sum is credited once, and so is a dispute; the note that came first has it.
notes_ranked as (

    select
        *,
        row_number() over (
            partition by invoice_id, credit_currency, is_sum order by issue_date, credit_note_number
        ) as sum_rank,
        row_number() over (
            partition by invoice_id, credit_currency, dispute_id order by issue_date, credit_note_number
        ) as dispute_rank,
        max(case when is_sum then 1 else 0 end) over (partition by invoice_id, credit_currency)
            as has_sum
    from notes_without_cause

),

matches as (

    select
        credit_id,
        dispute_id,
        'cause' as matched_by,
        matched_amount
    from matches_by_cause
    union all
    select
        notes_ranked.credit_id,
        disputes_left.dispute_id,
        'sum_of_disputes' as matched_by,
        disputes_left.left_amount as matched_amount
    from notes_ranked
    inner join disputes_left
        on
            notes_ranked.invoice_id = disputes_left.invoice_id
            and notes_ranked.credit_currency = disputes_left.dispute_currency
    where notes_ranked.is_sum and notes_ranked.sum_rank = 1
    union all
    select
        credit_id,
        dispute_id,
        'amount' as matched_by,
        credit_amount as matched_amount
    from notes_ranked
    where has_sum = 0 and dispute_id is not null and dispute_rank = 1

),

notes_matched as (

    select
        credit_id,
        sum(matched_amount) as matched_amount
    from matches
    group by credit_id

),

parts as (

    select
        credit_id,
        dispute_id,
        matched_by,
        matched_amount as part_amount,
        cast(null as string) as refusal_reason
    from matches
    union all
    select
        notes.credit_id,
        cast(null as string) as dispute_id,
        cast(null as string) as matched_by,
        notes.credit_amount - coalesce(notes_matched.matched_amount, 0) as part_amount,
        case
            when invoices.invoice_id is null then 'invoice_restated_in_another_currency'
            when notes_judged.is_too_much then 'credit_exceeds_dispute'
        end as refusal_reason
    from notes
    left join {{ ref('int_invoices_footed') }} as invoices
        on notes.invoice_id = invoices.invoice_id and notes.credit_currency = invoices.invoice_currency
    left join notes_matched
        on notes.credit_id = notes_matched.credit_id
    left join notes_judged
        on notes.credit_id = notes_judged.credit_id
    where notes.credit_amount != coalesce(notes_matched.matched_amount, 0)

),

credits_matched as (

    select
        notes.credit_id || ':' || coalesce(parts.dispute_id, '') as credit_match_id,
        notes.credit_id,
        notes.carrier_id,
        notes.credit_note_number,
        notes.invoice_id,
        notes.cause,
        parts.dispute_id,
        parts.matched_by,
        parts.refusal_reason,
        notes.credit_currency,
        notes.credit_amount,
        cast(parts.part_amount as {{ exact_amount() }}) as part_amount,
        notes.issue_date
    from parts
    inner join notes
        on parts.credit_id = notes.credit_id

)

select * from credits_matched
