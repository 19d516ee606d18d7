{# How seeds get their rows: by the engine's own reader, column by column by name. #}

{# The tables of terms come from the folder that TOLLGATE_TERMS names, where it names one; seeds/terms says which columns they have. A file #}
{# may lack columns, or be missing (orchestration/terms.py says which may): then they are empty. So dbt reads one project, whatever the terms. #}
{% macro duckdb__create_csv_table(model, agate_table) %}
    {% set create_sql = default__create_csv_table(model, agate_table) %}
    {% set file = adapter.get_seed_file_path(model) %}
    {% set folder = env_var('TOLLGATE_TERMS', '') %}
    {% if folder and model.original_file_path.startswith('seeds/terms/') %}
        {% set file = folder ~ '/' ~ model.name ~ '.csv' %}
        {% if run_query("from glob('" ~ file | replace("'", "''") ~ "')").rows | length == 0 %}
            {{ return(create_sql) }}
        {% endif %}
    {% endif %}
    {% set names = "'" ~ agate_table.column_names | join("', '") ~ "'" %}
    {% set insert_sql %}
        insert into {{ this.render() }} by name
        select columns(lambda name: list_contains([{{ names }}], name))
        from read_csv(
            '{{ file | replace("'", "''") }}',
            header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', comment = '', skip = 0
        )
    {% endset %}
    {% do adapter.add_query(insert_sql, abridge_sql_log=True) %}
    {{ return(create_sql ~ ';' ~ insert_sql) }}
{% endmacro %}

{# dbt asks for rows only where the file in seeds/ has some. #}
{% macro duckdb__load_csv_rows(model, agate_table) %} {{ return('-- the table has its rows') }} {% endmacro %}
