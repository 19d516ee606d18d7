{# A column whose name is a word of SQL. #}
{% macro quoted(name) -%} {{ adapter.dispatch('quoted')(name) }} {%- endmacro %}
{% macro default__quoted(name) -%} "{{ name }}" {%- endmacro %}
{% macro spark__quoted(name) -%} `{{ name }}` {%- endmacro %}
