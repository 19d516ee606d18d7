{# Largest remainder: splits `total` of each group over its rows by weight, in units of 10^-decimals, so that the parts always add up to the total.
   Rows with the largest remainders get the units left over; `tie_break` orders equal remainders, so the result never depends on row order.
   source      a CTE with one row per part; total and group columns repeated on each row, the total already at `decimals`
   returns     a select of the source's columns, columns of the working (_*) and `into` (exact amount). A group whose weights are all 0 gets nothing: filter or weigh it before. #}
{% macro allocate(source, total, weight, group_by, tie_break, decimals, into) -%}
    {%- set unit = power_of_ten('12 - (' ~ decimals ~ ')') -%}
    select
        units_left_over_counted.*,
        cast(
            case when {{ total }} < 0 then -1 else 1 end
            * (_floor_units + case when _left_over_rank <= _units_left_over then 1 else 0 end)
            * {{ unit }} as decimal(38, 0)
        ) * cast(0.000000000001 as {{ exact_amount() }}) as {{ into }}
    from (
        select
            remainders_ranked.*,
            _total_units - sum(_floor_units) over (partition by {{ group_by }}) as _units_left_over
        from (
            select
                floors_taken.*,
                row_number() over (
                    partition by {{ group_by }} order by _remainder_units desc, {{ tie_break }}
                ) as _left_over_rank
            from (
                select
                    weights_counted.*,
                    {{ integer_divide('_total_units * _weight_units', '_weight_units_of_group') }} as _floor_units,
                    (_total_units * _weight_units) % _weight_units_of_group as _remainder_units
                from (
                    select
                        {{ source }}.*,
                        {{ integer_divide('cast(abs(' ~ total ~ ') * 1000000000000 as ' ~ wide_integer() ~ ')', unit) }} as _total_units,
                        {{ weight_units(weight) }} as _weight_units,
                        sum({{ weight_units(weight) }}) over (
                            partition by {{ group_by }}
                        ) as _weight_units_of_group
                    from {{ source }}
                ) as weights_counted
                where _weight_units_of_group > 0
            ) as floors_taken
        ) as remainders_ranked
    ) as units_left_over_counted
{%- endmacro %}

{# Largest remainder where the parts are known and only have to be rounded: exact amounts of either sign become whole units of 10^-decimals that
   add up to `total`, which is their sum rounded in whatever mode. Parts that are whole already stay as they are. The parts of a total below
   0 are rounded as those of its opposite are.
   source      a CTE with one row per part; total and group columns repeated on each row, the total already at `decimals`
   returns     a select of the source's columns, columns of the working (_*) and `into` (exact amount) #}
{% macro round_parts(source, part, total, group_by, tie_break, decimals, into) -%}
    {%- set unit = power_of_ten('12 - (' ~ decimals ~ ')') -%}
    {%- set sign = 'case when ' ~ total ~ ' < 0 then -1 else 1 end' -%}
    select
        remainders_ranked.*,
        {{ from_units(
            sign ~ ' * (_floor_units + case when _left_over_rank <= _units_left_over then 1 else 0 end) * ' ~ unit
        ) }} as {{ into }}
    from (
        select
            floors_taken.*,
            {{ integer_divide('cast(abs(' ~ total ~ ') * 1000000000000 as ' ~ wide_integer() ~ ')', unit) }}
            - sum(_floor_units) over (partition by {{ group_by }}) as _units_left_over,
            row_number() over (
                partition by {{ group_by }} order by _part_units - _floor_units * {{ unit }} desc, {{ tie_break }}
            ) as _left_over_rank
        from (
            select
                parts_counted.*,
                case
                    when _part_units >= 0 then {{ integer_divide('_part_units', unit) }}
                    else -{{ integer_divide('(-_part_units + ' ~ unit ~ ' - 1)', unit) }}
                end as _floor_units
            from (
                select
                    {{ source }}.*,
                    {{ sign }} * cast({{ part }} * 1000000000000 as {{ wide_integer() }}) as _part_units
                from {{ source }}
            ) as parts_counted
        ) as floors_taken
    ) as remainders_ranked
{%- endmacro %}

{# Where parts are too many to be ranked: a part of a total by weight, rounded toward zero, in whole units of 10^-6. What the parts leave
   over, less than a unit for each, is the caller's to lay on one of them. Amounts below 10^14. #}
{% macro part_rounded_down(total, weight, weight_of_all, weight_decimals) -%}
    case
        when {{ weight_of_all }} > 0
            then case when {{ total }} < 0 then -1 else 1 end * {{ integer_divide(
                'cast(abs(' ~ total ~ ') * 1000000 as ' ~ wide_integer() ~ ') * ' ~ weight_units(weight, weight_decimals),
                weight_units(weight_of_all, weight_decimals)
            ) }}
    end
{%- endmacro %}

{# A weight as a whole number; widened first, for a weight of 18 digits overflows. #}
{% macro weight_units(weight, decimals=6) -%}
    cast(cast({{ weight }} as decimal(38, {{ decimals }})) * 1{{ '0' * decimals }} as {{ wide_integer() }})
{%- endmacro %}
