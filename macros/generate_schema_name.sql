{# The folder's word is the schema's name: no target prefix, so that stage.stg_x is stage.stg_x everywhere. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
