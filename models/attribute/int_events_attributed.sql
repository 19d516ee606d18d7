-- One row per event with the partner whose account it ran on, the plan that charges it and the quantity
-- charged, or the reason why nobody is charged. What a partner pays does not depend on the carrier, so
-- unrated events are charged too. With all that is known of the event: whoever sums it up reads it in one
-- stream.
with

events as (

    select
        ratings.*,
        affected.event_id is not null as is_affected
    from {{ ref('int_events_rated') }} as ratings
    left join {{ ref('int_events_affected') }} as affected
        on ratings.event_id = affected.event_id

),

-- An account is told apart from the others of its partner only where a rule of participation does so.
accounts_told_apart as (

    select distinct account_id
    from {{ ref('stg_terms__participation_rules') }}
    where refusal_reason is null and account_id is not null

),

accounts as (

    select
        account_rows.account_id,
        account_rows.partner_id,
        account_rows.product,
        accounts_told_apart.account_id as share_account_id,
        account_rows.valid_from_date,
        account_rows.valid_until_date
    from {{ ref('stg_terms__accounts') }} as account_rows
    left join accounts_told_apart
        on account_rows.account_id = accounts_told_apart.account_id
    where account_rows.refusal_reason is null

),

agreements as (

    select * from {{ ref('int_agreements_resolved') }}
    where party_role = 'partner'

),

plans as (

    select * from {{ ref('int_plans_placed') }}

),

-- Products that some plan of the partner is for.
products as (

    select distinct
        partner_id,
        product
    from plans

),

events_with_partners as (

    select
        events.*,
        accounts.partner_id,
        coalesce(products.product, '*') as product,
        case when marks.refunded_event_id is null then accounts.share_account_id else refunded.account_id end
            as share_account_id,
        marks.stated_participants,
        marks.refunded_agreement_id,
        marks.refunded_date,
        case
            when marks.refunded_event_id is null then null
            when marks.refusal_reason is not null then marks.refusal_reason
            when marks.refunded_partner_id != accounts.partner_id then 'refund_of_another_partner'
            when coalesce(marks.refunded_currency, '') != agreements.currency
                then 'refund_in_another_currency'
        end as refund_refusal_reason,
        marks.refunded_event_id is not null as is_refund,
        agreements.agreement_id as partner_agreement_id,
        agreements.currency as charge_currency,
        cast({{ to_local('events.started_at', "coalesce(agreements.time_zone, 'UTC')") }} as date)
            as partner_local_date
    from events
    left join accounts
        on
            events.account_id = accounts.account_id
            and cast(events.started_at as date) >= accounts.valid_from_date
            and cast(events.started_at as date) < accounts.valid_until_date
    left join products
        on
            accounts.partner_id = products.partner_id
            and accounts.product = products.product
    left join agreements
        on
            accounts.partner_id = agreements.party_id
            and events.started_at >= agreements.valid_from_at
            and events.started_at < agreements.valid_until_at
    left join {{ ref('int_transactions_marked') }} as marks
        on events.event_id = marks.event_id
    left join accounts_told_apart as refunded
        on marks.refunded_account_id = refunded.account_id

),

plans_chosen as (

    select
        events_with_partners.*,
        coalesce(place_plans.is_refused, general_plans.is_refused, false) as is_plan_refused,
        case when place_plans.partner_id is null then general_plans.plan_id else place_plans.plan_id end
            as plan_id,
        case when place_plans.partner_id is null then general_plans.charged_on else place_plans.charged_on end
            as charged_on,
        case
            when place_plans.partner_id is null then general_plans.counted_unit
            else place_plans.counted_unit
        end as plan_unit,
        case
            when place_plans.partner_id is null then general_plans.pricing_model
            else place_plans.pricing_model
        end as pricing_model,
        case when place_plans.partner_id is null then general_plans.priced_on else place_plans.priced_on end
            as priced_on,
        case
            when place_plans.partner_id is null then general_plans.minimum_quantity
            else place_plans.minimum_quantity
        end as minimum_quantity,
        case
            when place_plans.partner_id is null then general_plans.increment_quantity
            else place_plans.increment_quantity
        end as increment_quantity
    from events_with_partners
    left join plans as place_plans
        on
            events_with_partners.partner_id = place_plans.partner_id
            and events_with_partners.service = place_plans.service
            and events_with_partners.direction = place_plans.direction
            and events_with_partners.product = place_plans.product
            and events_with_partners.country_code = place_plans.place_code
            and events_with_partners.partner_local_date >= place_plans.valid_from_date
            and events_with_partners.partner_local_date < place_plans.valid_until_date
    left join plans as general_plans
        on
            events_with_partners.partner_id = general_plans.partner_id
            and events_with_partners.service = general_plans.service
            and events_with_partners.direction = general_plans.direction
            and events_with_partners.product = general_plans.product
            and general_plans.place_code = '*'
            and events_with_partners.partner_local_date >= general_plans.valid_from_date
            and events_with_partners.partner_local_date < general_plans.valid_until_date

),

-- What a plan prices that goes by money; null where there is none in the partner's currency.
amounts_told as (

    select
        *,
        case priced_on
            when 'rated_cost' then rated_cost_currency
            when 'vendor_amount' then vendor_currency
        end as amount_currency,
        case priced_on
            when 'rated_cost'
                then cast({{ round_money('rated_cost_amount', 8, "'half_up'") }} as decimal(18, 8))
            when 'vendor_amount' then vendor_amount
        end as charged_amount,
        {{ is_charged('event_status', 'charged_on') }} as is_charged
    from plans_chosen

),

statuses_given as (

    select
        *,
        case
            when partner_id is null then 'unknown_account'
            when partner_agreement_id is null then 'no_agreement'
            when is_plan_refused then 'plan_refused'
            when plan_id is null then 'no_plan'
            when plan_unit != quantity_unit and not (plan_unit = 'message' and quantity_unit = 'segment')
                then 'quantity_unit_differs'
            when is_refund and refund_refusal_reason is not null then refund_refusal_reason
            when is_refund and pricing_model != 'lines' then 'refund_without_plan_of_lines'
            when priced_on is null or not is_charged then null
            when charged_amount is null then 'amount_missing'
            when amount_currency != charge_currency then 'amount_currency_differs'
            -- Only priced items may be credits: a percentage of a negative amount is nobody's price.
            when charged_amount < 0 and pricing_model != 'lines' then 'amount_negative'
        end as uncharged_reason
    from amounts_told

),

quantities_charged as (

    select
        event_id,
        service,
        direction,
        account_id,
        carrier_id,
        agreement_id,
        destination_id,
        destination_name,
        country_code,
        partner_id,
        partner_agreement_id,
        plan_id,
        quantity_unit,
        billed_unit,
        rating_status,
        unrated_reason,
        case
            when uncharged_reason is not null then 'uncharged'
            when is_charged then 'charged'
            else 'not_charged'
        end as charge_status,
        uncharged_reason,
        share_account_id,
        stated_participants,
        refunded_agreement_id,
        refunded_date,
        quantity,
        billed_quantity,
        case
            when uncharged_reason is not null or not is_charged then cast(0 as decimal(18, 6))
            -- A message of several segments is one where the plan prices messages.
            when plan_unit = 'message' and quantity > 0 then cast(1 as decimal(18, 6))
            when increment_quantity = 0 then quantity
            else cast(
                {{ billed_quantity('quantity', 'minimum_quantity', 'increment_quantity', "'residual'") }}
                as decimal(18, 6)
            )
        end as charged_quantity,
        case when uncharged_reason is null and is_charged then charged_amount end as charged_amount,
        counts_toward_commitment,
        rate_amount,
        rate_per_quantity,
        connect_fee_amount,
        undivided_cost_amount,
        rated_cost_amount,
        rated_cost_currency,
        is_rounded_per_event,
        is_affected,
        carrier_local_date,
        partner_local_date,
        started_at
    from statuses_given

),

events_attributed as (

    select
        *,
        {{ rating_group_key() }} as rating_group_id,
        {{ charge_group_key() }} as charge_group_id
    from quantities_charged

)

select * from events_attributed
