{# Which usage the table of daily usage shows, day by day: fingerprints of the groups that it was made of. They are written in one transaction
   with the table, so that they hold whatever ended in the middle before or after it. #}

{% macro days_reported() -%}
    {%- set reported = adapter.get_relation(database=target.database, schema='ingest', identifier='days_reported') if execute -%}
    {%- if reported -%} select usage_date, fingerprint from {{ reported }}
    {%- else -%} select {{ no_day() }} as usage_date, cast(0 as {{ wide_integer() }}) as fingerprint where false
    {%- endif -%}
{%- endmacro %}

{# Before the table adds rows: what it holds of days that it shows anew goes, and so do unrated rows, whose money at risk moves with the cost of
   all that is like them. #}
{% macro drop_days_to_report(days) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where usage_date in (select usage_date from {{ days }} where change_to_report = 'day') or unrated_reason is not null
    {%- endif -%}
{%- endmacro %}

{% macro remember_days_reported(days) %}
    create table if not exists ingest.days_reported (usage_date date not null, fingerprint {{ wide_integer() }} not null);
    delete from ingest.days_reported where true;
    insert into ingest.days_reported select usage_date, fingerprint from {{ days }} where fingerprint is not null
{% endmacro %}
