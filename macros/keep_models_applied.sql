{# After dbt has built models: the SQL of those that compute stays beside what it made, so that an event is rated again, a bridge walked again
   and a statement totalled again by the very SQL that did it, without dbt and whatever the project has become since. #}
{% macro keep_models_applied(results) -%}
    {%- set relations = [] -%}
    {%- set rows = [] -%}
    {%- for result in results if result.node.resource_type == 'model' and result.node.schema in ('rate', 'attribute', 'reconcile') and result.status == 'success' -%}
        {%- do relations.append(dbt.string_literal(result.node.relation_name)) -%}
        {%- do rows.append(
            '(' ~ relations[-1] ~ ', ' ~ dbt.string_literal(dbt.escape_single_quotes(result.node.compiled_code)) ~ ')'
        ) -%}
    {%- endfor -%}
    {%- if rows %}
        create schema if not exists ingest;
        create table if not exists ingest.models_applied (relation_name varchar not null, compiled_code varchar not null);
        delete from ingest.models_applied where relation_name in ({{ relations | join(', ') }});
        insert into ingest.models_applied values {{ rows | join(', ') }}
    {%- endif -%}
{%- endmacro %}
