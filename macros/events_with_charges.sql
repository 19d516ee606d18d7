{# Events with the partner whose account they ran on and the plan that charges them: common table expressions that end with charges_found.
   events   a CTE with the columns of int_events_rated
   accounts, participation_rules, agreements, plans   the relations of these terms: stg_terms__accounts, stg_terms__participation_rules,
            int_agreements_resolved, int_plans_placed
   marks    int_transactions_marked, which judges refunds and says who shares in an event; without it each event stands for itself #}
{% macro events_with_charges(events, accounts, participation_rules, agreements, plans, marks=none) -%}
-- An account is told apart from the others of its partner only where a rule of participation does so.
accounts_told_apart as (

    select distinct account_id
    from {{ participation_rules }}
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
    from {{ accounts }} as account_rows
    left join accounts_told_apart
        on account_rows.account_id = accounts_told_apart.account_id
    where account_rows.refusal_reason is null

),

agreements as (

    select * from {{ agreements }}
    where party_role = 'partner'

),

plans as (

    select * from {{ plans }}

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
        {% if marks %}
            case when marks.refunded_event_id is null then accounts.share_account_id else refunded.account_id end
                as share_account_id,
            marks.stated_participants,
            marks.refunded_agreement_id,
            marks.refunded_direction,
            marks.refunded_country_code,
            marks.refunded_carrier_id,
            marks.refunded_date,
            marks.refusal_reason as refund_refusal_reason,
            marks.refunded_event_id is not null as is_refund,
        {% endif %}
        agreements.agreement_id as partner_agreement_id,
        agreements.currency as agreement_currency,
        cast({{ to_local('events.started_at', "coalesce(agreements.time_zone, 'UTC')") }} as date)
            as partner_local_date
    from {{ events }} as events
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
    {% if marks %}
        left join {{ marks }} as marks
            on events.event_id = marks.event_id
        left join accounts_told_apart as refunded
            on marks.refunded_account_id = refunded.account_id
    {% endif %}

),

plans_chosen as (

    select
        events_with_partners.*,
        coalesce(place_plans.is_refused, general_plans.is_refused, false) as is_plan_refused,
        {%- for column, name in {
            'plan_id': 'plan_id', 'currency': 'plan_currency', 'charged_on': 'charged_on', 'counted_unit': 'plan_unit',
            'pricing_model': 'pricing_model',
            'priced_on': 'priced_on', 'minimum_quantity': 'minimum_quantity', 'increment_quantity': 'increment_quantity'
        }.items() %}
            case
                when place_plans.partner_id is null then general_plans.{{ column }}
                else place_plans.{{ column }}
            end as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
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

-- What a plan prices that goes by money, and in which currency; null where there is none.
amounts_told as (

    select
        *,
        coalesce(plan_currency, agreement_currency) as charge_currency,
        case priced_on
            when 'rated_cost' then rated_cost_currency
            when 'vendor_amount' then vendor_currency
        end as amount_currency,
        case priced_on
            when 'rated_cost'
                then cast({{ round_money('rated_cost_amount', 8, "'half_up'") }} as decimal(18, 8))
            when 'vendor_amount' then vendor_amount
        end as charged_amount,
        -- What is refunded to the customer costs us what it costs, and is not charged.
        quantity - coalesce(refunded_quantity, 0) as kept_quantity,
        {{ is_charged('event_status', 'charged_on') }} and coalesce(refunded_quantity < quantity, true)
            as is_charged
    from plans_chosen

),

charges_found as (

    select
        *,
        case
            when partner_id is null then 'unknown_account'
            when partner_agreement_id is null then 'no_agreement'
            when is_plan_refused then 'plan_refused'
            when plan_id is null then 'no_plan'
            -- Its quantity or its clock is known to be wrong, for the partner as for the carrier.
            when unrated_reason in ('duration_above_a_day', 'started_after_receipt') then unrated_reason
            when plan_unit != quantity_unit and not (plan_unit = 'message' and quantity_unit = 'segment')
                then 'quantity_unit_differs'
            {% if marks %}
                when is_refund and refund_refusal_reason is not null then refund_refusal_reason
                when is_refund and pricing_model != 'lines' then 'refund_without_plan_of_lines'
            {% endif %}
            when priced_on is null or not is_charged then null
            when charged_amount is null then 'amount_missing'
            when amount_currency != charge_currency then 'amount_currency_differs'
            -- Only priced items may be credits: a percentage of a negative amount is nobody's price.
            when charged_amount < 0 and pricing_model != 'lines' then 'amount_negative'
        end as uncharged_reason
    from amounts_told

)
{%- endmacro %}
