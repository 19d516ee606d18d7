{# Usage of a questioned line under another policy than the agreed one: sums of like events instead of single ones. The formulas of a cost
   are those that rate an event (increments_priced, undivided_cost, divide_and_round). #}

{# What one event of a group costs, times the quantity that its rate prices. An event that other terms cannot price (its code has bands or
   steps, it takes from an allowance, only its attempt is charged) costs what it did. `price` names the relation with the price. #}
{% macro undivided_at(usage, price, billed, increment_decimals, increment_mode) -%}
    case
        when not {{ usage }}.is_repriceable then {{ usage }}.own_undivided_amount
        else {{ undivided_cost(
            increments_priced(
                price ~ '.rate_amount', price ~ '.rate_per_quantity',
                'least(' ~ usage ~ '.minimum_quantity, ' ~ billed ~ ')', usage ~ '.increment_quantity',
                count_of_steps(
                    '(' ~ billed ~ ' - least(' ~ usage ~ '.minimum_quantity, ' ~ billed ~ '))', usage ~ '.increment_quantity'
                ),
                billed, increment_decimals, increment_mode
            ),
            multiply_exactly(price ~ '.rate_per_quantity', price ~ '.connect_fee_amount'),
            multiply_exactly(price ~ '.rate_per_quantity', price ~ '.maximum_amount'),
            multiply_exactly(price ~ '.rate_per_quantity', usage ~ '.attempt_fee_amount')
        ) }}
    end
{%- endmacro %}

{# A line's amount from the sums of its usage, as int_invoice_lines_matched has it: where nothing is rounded before the line and one
   quantity is priced, the exact sum is divided once. In the currency of the invoice, rounded as agreed before it is converted. #}
{% macro line_amount(line, undivided, rounded, least_per, most_per, is_rounded) -%}
    {%- set agreed = 'case when ' ~ is_rounded ~ ' or ' ~ least_per ~ ' != ' ~ most_per ~ ' then '
        ~ round_money(rounded, line ~ '.agreement_rounding_decimals', line ~ '.rounding_mode') ~ ' else '
        ~ divide_and_round(undivided, least_per, line ~ '.agreement_rounding_decimals', line ~ '.rounding_mode') ~ ' end' -%}
    case
        when {{ line }}.invoice_currency = {{ line }}.agreement_currency then {{ agreed }}
        else {{ convert_money(
            agreed, line ~ '.agreement_units_per_base', line ~ '.invoice_units_per_base', line ~ '.line_rounding_decimals'
        ) }}
    end
{%- endmacro %}

{# Is a policy of the carrier's the explanation? It must bring at least two lines that the agreed one does not reproduce (or the only one
   that there is), half of all such lines, and lose fewer than it brings. #}
{% macro is_explanation(gained, lost, deviating, lines) -%}
    ({{ gained }} >= least(2, {{ lines }}) and 2 * {{ gained }} >= {{ deviating }} and {{ lost }} < {{ gained }} and {{ gained }} > 0)
{%- endmacro %}

{# The sums of a line from like events that were priced: a select of `keys` and the sums. An event that cannot be priced again keeps what it
   cost, rounded as it was. #}
{% macro line_sums(priced, keys) -%}
    select
        {% for key in keys %}
        {{ key }},
        {% endfor %}
        cast(sum(event_count * undivided_amount) as {{ exact_amount() }}) as undivided_amount,
        cast(sum(
            event_count * case
                when not is_repriceable then own_rated_amount
                else {{ divide_and_round(
                    'undivided_amount', 'per_quantity', 'coalesce(event_rounding_decimals, 12)', 'event_rounding_mode'
                ) }}
            end
        ) as {{ exact_amount() }}) as rounded_amount,
        min(per_quantity) as least_per_quantity,
        max(per_quantity) as most_per_quantity
    from {{ priced }}
    group by {{ keys | join(', ') }}
{%- endmacro %}

{# Of the lines those whose events and quantity the usage comes to, as far as they state them: a select. Only these can tell of prices. #}
{% macro lines_reproduced(lines, used) -%}
    select {{ lines }}.*
    from {{ lines }}
    inner join (
        select
            invoice_line_id,
            sum(event_count) as event_count,
            sum(carrier_quantity * event_count) as billed_quantity
        from {{ used }}
        group by invoice_line_id
    ) as line_sums
        on {{ lines }}.invoice_line_id = line_sums.invoice_line_id
    where
        coalesce(line_sums.event_count = {{ lines }}.invoiced_event_count, true)
        and coalesce(line_sums.billed_quantity = {{ lines }}.invoiced_quantity, true)
{%- endmacro %}
