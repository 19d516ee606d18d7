{# Rows of decks whose file says less than the house wants to know: its name gives the carrier and the first day. #}

{# The deck's own name. A corrected file for the same day is another version. #}
{% macro deck_version_of_file(word='A-Z') -%}
    '{{ word }} ' || deck_rows.effective_date || ' ' || substring(deck_rows._file_id, 1, 8)
{%- endmacro %}

{# Digits of a code that every row of the layout must have: a lone plus is none. #}
{% macro required_dial_code(text) -%} nullif(trim(leading '+' from trim({{ text }})), '') {%- endmacro %}

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
