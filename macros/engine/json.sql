{# JSON that lands, such as the columns that no declaration names one by one. #}

{# The members of a JSON object as rows of `key` and `value`, both text, to be cross joined; none where the text is null. #}
{% macro json_entries(text) -%} {{ adapter.dispatch('json_entries')(text) }} {%- endmacro %}
{% macro default__json_entries(text) -%}
    lateral (
        select unnest(map_keys(members)) as key, unnest(map_values(members)) as value
        from (select cast(cast({{ text }} as json) as map(varchar, varchar)) as members)
    )
{%- endmacro %}
{% macro spark__json_entries(text) -%}
    lateral (select explode(from_json({{ text }}, 'map<string, string>')) as (key, value))
{%- endmacro %}
