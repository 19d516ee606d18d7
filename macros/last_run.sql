{# What the last run left, for models that stand before it in this one. The events are rated once; a later run rates again only what
   new files, other prices or other terms touch, and finds that out by comparing with the inputs that it kept (int_*_applied). #}

{# The table that a model of the folder `rate` left, or none. Never a ref: that would be a circle. #}
{% macro last_run(model) -%}
    {{ return(adapter.get_relation(database=target.database, schema='rate', identifier=model)) }}
{%- endmacro %}

{# Must every event be rated, because nothing is kept of a last run, or because a full refresh was asked for? #}
{% macro rates_anew() -%}
    {%- if not execute or flags.FULL_REFRESH -%} {{ return(true) }} {%- endif -%}
    {%- for model in ['int_events_rated', 'int_loads_applied', 'int_rates_applied', 'int_rating_terms_applied', 'int_carriers_applied'] -%}
        {%- if last_run(model) is none -%} {{ return(true) }} {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{# Feeds whose staging reads a record beside others (legs of a call, states of an e-mail): something new may change what was there. #}
{% macro reads_records_together(feed) -%}
    {{ return(feed in var('feeds_read_together')) }}
{%- endmacro %}

{# The files of a feed with something new: a load that the table `known` does not hold, which is a file, or a part of its quarantine
   that was tried again. Of feeds whose records are read together, all files as soon as one is new. #}
{% macro files_with_news(feed, records, known) -%}
    {%- set loads_new -%}
        select
            file_id,
            loaded_at
        from {{ records }}
        {{ "where feed = '" ~ feed ~ "'" }}
        except
        select
            file_id,
            loaded_at
        from {{ known }}
    {%- endset -%}
    {%- if reads_records_together(feed) -%}
        select distinct file_id from {{ records }} where feed = '{{ feed }}' and exists ({{ loads_new }})
    {%- else -%}
        select distinct file_id from ({{ loads_new }}) as loads_new
    {%- endif -%}
{%- endmacro %}

{# Instead of an event: every event. Stands in the lists of events to be rated where all of them are. #}
{% macro every_event() -%} * {%- endmacro %}

{# Before a model adds what it reckoned again: what it holds of the events of that list goes, in one transaction with the adding. A table
   that is made anew needs a list that says so: else it would hold the few events of the last run. #}
{% macro make_room_for(events) -%}
    {%- set is_everything = "exists (select 1 from " ~ events ~ " where event_id = '" ~ every_event() ~ "')" -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ is_everything }} or event_id in (select event_id from {{ events }})
    {%- else -%}
        select case when not {{ is_everything }} then {{ fail(
            this.identifier ~ ' is made anew, but ' ~ events.identifier ~ ' does not list every event: refresh what comes before it too '
            ~ '(dbt run --full-refresh --select +' ~ this.identifier ~ ')'
        ) }} end
    {%- endif -%}
{%- endmacro %}
