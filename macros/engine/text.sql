{# Text that lands, judged and read. #}

{# Is it one or more digits and nothing else? Null for null. #}
{% macro is_digits(text) -%} {{ adapter.dispatch('is_digits')(text) }} {%- endmacro %}
{% macro default__is_digits(text) -%} regexp_full_match({{ text }}, '[0-9]+') {%- endmacro %}
{% macro spark__is_digits(text) -%} ({{ text }} rlike '^[0-9]+$') {%- endmacro %}

{# A whole number; null where it is none. A cast alone would round 60.4 to 60 unseen. #}
{% macro parse_whole_number(text) -%}
    case when {{ is_digits('trim(' ~ text ~ ')') }} then try_cast(trim({{ text }}) as integer) end
{%- endmacro %}

{# A number written with the feed's own decimal mark; null where it is none. A number with the other mark is none either: the comma
   of 1,175 may be a thousands mark, and a guess would be wrong by a thousand. #}
{% macro parse_decimal(text, decimal_mark="'.'", type='decimal(18, 8)') -%}
    {{ adapter.dispatch('parse_decimal')(text, decimal_mark, type) }}
{%- endmacro %}
{% macro default__parse_decimal(text, decimal_mark, type) -%}
    case
        when {{ decimal_mark }} = '.' and regexp_full_match(trim({{ text }}), '[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{1,2})?')
            then try_cast(trim({{ text }}) as {{ type }})
        when {{ decimal_mark }} = ',' and regexp_full_match(trim({{ text }}), '[+-]?[0-9]+(,[0-9]+)?')
            then try_cast(replace(trim({{ text }}), ',', '.') as {{ type }})
    end
{%- endmacro %}
{% macro spark__parse_decimal(text, decimal_mark, type) -%}
    case
        when {{ decimal_mark }} = '.' and trim({{ text }}) rlike '^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{1,2})?$'
            then try_cast(trim({{ text }}) as {{ type }})
        when {{ decimal_mark }} = ',' and trim({{ text }}) rlike '^[+-]?[0-9]+(,[0-9]+)?$'
            then try_cast(replace(trim({{ text }}), ',', '.') as {{ type }})
    end
{%- endmacro %}

{# A number to the last decimal that is written, to be compared with what is kept of it. #}
{% macro number_written(text, decimal_mark="'.'") -%}
    {{ parse_decimal(text, decimal_mark, 'decimal(38, 18)') }}
{%- endmacro %}

{# A dialled number as E.164 digits. `declared` is the feed's row of stg_ingest__feeds: its prefixes say what a number without a plus
   means. A national number of a feed that declares no country keeps its 0 and is refused as a destination. #}
{% macro to_e164(number, declared) -%}
    case
        when trim({{ number }}) like '+%' then substring(trim({{ number }}), 2)
        when trim({{ number }}) like {{ declared }}.international_prefix || '%'
            then substring(trim({{ number }}), length({{ declared }}.international_prefix) + 1)
        when trim({{ number }}) like {{ declared }}.national_prefix || '%'
            then {{ declared }}.calling_code || substring(trim({{ number }}), length({{ declared }}.national_prefix) + 1)
        else trim({{ number }})
    end
{%- endmacro %}

{# Ends the statement with a message for whoever reads the log. #}
{% macro fail(message) -%} {{ adapter.dispatch('fail')(message) }} {%- endmacro %}
{% macro default__fail(message) -%} error('{{ message }}') {%- endmacro %}
{% macro spark__fail(message) -%} raise_error('{{ message }}') {%- endmacro %}

{# The different texts of a group as one, in the order of the alphabet. #}
{% macro texts_joined(text) -%} {{ adapter.dispatch('texts_joined')(text) }} {%- endmacro %}
{% macro default__texts_joined(text) -%} string_agg(distinct {{ text }}, ',' order by {{ text }}) {%- endmacro %}
{% macro spark__texts_joined(text) -%} nullif(concat_ws(',', array_sort(collect_set({{ text }}))), '') {%- endmacro %}

{# The words of a name in small letters without accents, one space between them and no other sign. #}
{% macro words_of(text) -%} {{ adapter.dispatch('words_of')(text) }} {%- endmacro %}
{% macro default__words_of(text) -%} trim(regexp_replace(strip_accents(lower({{ text }})), '[^a-z0-9]+', ' ', 'g')) {%- endmacro %}
{% macro spark__words_of(text) -%}
    trim(replace(replace(replace(
        translate(
            lower({{ text }}),
            'àáâãäåçèéêëìíîïñòóôõöøùúûüý-_/.,;:()[]&+*#',
            'aaaaaaceeeeiiiinoooooouuuuy               '
        ), '    ', ' '
    ), '  ', ' '), '  ', ' '))
{%- endmacro %}
