{# When a price of a deck counts: on which days of the week, between which minutes of the local day, from which second of a call. #}

{# Weekdays as seven flags from Monday on ('1111100'): the text names days by three letters (`mon tue`), blank is all of
   them. Null where it holds another word. #}
{% macro weekdays_of(text) -%}
    {%- set days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] -%}
    {%- set rest = namespace(text='lower(' ~ text ~ ')') -%}
    {%- for word in days + [',', ' '] -%} {%- set rest.text = "replace(" ~ rest.text ~ ", '" ~ word ~ "', '')" -%} {%- endfor -%}
    case
        when coalesce(trim({{ text }}), '') = '' then '1111111'
        when {{ rest.text }} = ''
            then
                {%- for day in days %}
                case when lower({{ text }}) like '%{{ day }}%' then '1' else '0' end{{ ' ||' if not loop.last }}
                {%- endfor %}
    end
{%- endmacro %}

{# HH:MM as minutes since midnight, 24:00 as 1440; null where it is neither. #}
{% macro minute_of_day(text) -%}
    {%- set hour = 'substring(trim(' ~ text ~ '), 1, 2)' -%}
    {%- set minute = 'substring(trim(' ~ text ~ '), 4)' -%}
    case
        when
            trim({{ text }}) like '__:__' and {{ is_digits(hour) }} and {{ is_digits(minute) }}
            and ({{ hour }} < '24' and {{ minute }} < '60' or trim({{ text }}) = '24:00')
            then try_cast({{ hour }} as integer) * 60 + try_cast({{ minute }} as integer)
    end
{%- endmacro %}

{# The columns of a deck whose layout knows one price per code, with the increments of the agreement. #}
{% macro one_price_all_week() -%}
    cast(null as decimal(18, 3)) as minimum_quantity,
        cast(null as decimal(18, 3)) as increment_quantity,
        cast(null as decimal(18, 8)) as maximum_amount,
        '1111111' as weekdays,
        0 as from_minute,
        1440 as until_minute,
        cast(0 as decimal(18, 3)) as from_quantity
{%- endmacro %}

{# Is this a price for every minute of the week, from the first second on? #}
{% macro is_all_week() -%}
    (weekdays = '1111111' and from_minute = 0 and until_minute = 1440 and from_quantity = 0)
{%- endmacro %}
