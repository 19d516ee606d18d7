{# Days of decks whose file says less than the house wants to know. #}

{# When a deck that does not say it was received: before its first day begins in any zone. #}
{% macro received_before(first_day) -%}
    cast(try_cast({{ first_day }} as date) - interval 1 day as timestamp)
{%- endmacro %}

{# First day of a row that names its own: a deck changes no past, so never before the deck's. Null where the row's is none. #}
{% macro first_day_of_row(row_day, first_day) -%}
    case
        when {{ row_day }} < try_cast({{ first_day }} as date) then try_cast({{ first_day }} as date)
        else {{ row_day }}
    end
{%- endmacro %}

{# What a row of a full deck is: one that begins later than the deck amends it, else its day would be another full deck, with the few
   codes that begin on it. #}
{% macro kind_of_full_deck_row(row_day, first_day) -%}
    case when {{ row_day }} > try_cast({{ first_day }} as date) then 'amendment' else 'full' end
{%- endmacro %}
