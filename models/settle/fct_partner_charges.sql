-- Booked charges of partners, as they were booked, and those that this run proposes: of each line of a plan
-- the difference between what it comes to now and what is booked on it, on the day whose usage it is about
-- where the plan says so. Publishing books the proposals, after the gates.
with

readings as (

    select
        *,
        line_amount - coalesce(lag(line_amount) over (
            partition by charge_line_id order by reading_date
        ), 0) as posting_amount,
        charged_quantity - coalesce(lag(charged_quantity) over (
            partition by charge_line_id order by reading_date
        ), 0) as posting_quantity
    from {{ ref('int_charge_lines_priced') }}
    where not is_projected

),

booked as (

    select * from {{ ref('stg_ledger__charges') }}

),

what_was_learned as (

    select {{ known_at('loaded_at') }} as known_at
    from {{ ref('stg_ingest__files') }}

),

charges_right as (

    select
        charge_line_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        reading_date as posting_date,
        posting_quantity,
        posting_amount,
        charge_currency,
        period_start_date
    from readings
    union all
    select
        charge_line_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        period_start_date as posting_date,
        cast(0 as decimal(38, 6)) as posting_quantity,
        charge_amount as posting_amount,
        charge_currency,
        period_start_date
    from {{ ref('int_charges_priced') }}
    where charge_type = 'statement_rounding'

),

charges_booked as (

    select
        charge_line_id,
        posting_date,
        charge_currency,
        max(partner_id) as partner_id,
        max(partner_agreement_id) as partner_agreement_id,
        max(plan_id) as plan_id,
        max(period_start_date) as period_start_date,
        max(batch_number) as last_batch_number,
        sum(difference_quantity) as posting_quantity,
        sum(difference_amount) as posting_amount
    from booked
    group by charge_line_id, posting_date, charge_currency

),

differences as (

    select
        coalesce(charges_right.charge_line_id, charges_booked.charge_line_id) as charge_line_id,
        coalesce(charges_right.partner_id, charges_booked.partner_id) as partner_id,
        coalesce(charges_right.partner_agreement_id, charges_booked.partner_agreement_id)
            as partner_agreement_id,
        coalesce(charges_right.plan_id, charges_booked.plan_id) as plan_id,
        coalesce(charges_right.posting_date, charges_booked.posting_date) as posting_date,
        coalesce(charges_booked.last_batch_number, 0) + 1 as batch_number,
        coalesce(charges_right.posting_quantity, 0) - coalesce(charges_booked.posting_quantity, 0)
            as difference_quantity,
        coalesce(charges_right.posting_amount, 0) - coalesce(charges_booked.posting_amount, 0)
            as difference_amount,
        coalesce(charges_right.charge_currency, charges_booked.charge_currency) as charge_currency,
        coalesce(charges_right.period_start_date, charges_booked.period_start_date) as period_start_date
    from charges_right
    full outer join charges_booked
        on
            charges_right.charge_line_id = charges_booked.charge_line_id
            and charges_right.posting_date = charges_booked.posting_date
            and charges_right.charge_currency = charges_booked.charge_currency

),

fct_partner_charges as (

    select
        charge_posting_id,
        charge_line_id,
        partner_id,
        partner_agreement_id,
        plan_id,
        cast(batch_number as integer) as batch_number,
        cast(difference_quantity as decimal(38, 6)) as difference_quantity,
        cast(difference_amount as {{ exact_amount() }}) as difference_amount,
        charge_currency,
        posting_date,
        period_start_date,
        known_at
    from booked
    union all
    select
        differences.charge_line_id || ':' || cast(differences.posting_date as string)
        || ':' || differences.charge_currency || ':' || cast(differences.batch_number as string)
            as charge_posting_id,
        differences.charge_line_id,
        differences.partner_id,
        differences.partner_agreement_id,
        differences.plan_id,
        cast(differences.batch_number as integer) as batch_number,
        cast(differences.difference_quantity as decimal(38, 6)) as difference_quantity,
        cast(differences.difference_amount as {{ exact_amount() }}) as difference_amount,
        differences.charge_currency,
        differences.posting_date,
        differences.period_start_date,
        what_was_learned.known_at
    from differences
    cross join what_was_learned
    where differences.difference_amount != 0 or differences.difference_quantity != 0

)

select * from fct_partner_charges
