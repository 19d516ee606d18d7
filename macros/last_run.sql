{# What the last run left, for models that stand before it in this one. The events are rated once; a later run rates again only what
   new files, other prices or other terms touch, and finds that out by comparing with the inputs that it kept (int_*_applied). #}

{# The table that a model left, or none. Never a ref: that would be a circle. The inputs that are kept stand after the last model that
   depends on single events, so that they say "done" only where all of it is done. #}
{% macro last_run(model) -%}
    {%- set verb = 'rate' if model == 'int_events_rated' else 'attribute' -%}
    {{ return(adapter.get_relation(database=target.database, schema=verb, identifier=model)) }}
{%- endmacro %}

{# Must every event be rated, because nothing is kept of a last run, or because a full refresh was asked for? #}
{% macro rates_anew() -%}
    {%- if not execute or flags.FULL_REFRESH -%} {{ return(true) }} {%- endif -%}
    {%- for model in [
        'int_events_rated', 'int_usage_summed', 'int_ratings_grouped', 'int_charges_grouped',
        'int_loads_applied', 'int_rates_applied', 'int_rating_terms_applied', 'int_carriers_applied', 'int_charging_terms_applied',
        'int_transactions_applied'
    ] -%}
        {%- if last_run(model) is none -%} {{ return(true) }} {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{# Feeds whose staging reads a record beside others (legs of a call, states of an e-mail): something new may change what was there. #}
{% macro reads_records_together(feed) -%}
    {{ return(feed in var('feeds_read_together')) }}
{%- endmacro %}

{# The same, of a column. #}
{% macro is_read_together(feed) -%} {{ feed }} in ('{{ var('feeds_read_together') | join("', '") }}') {%- endmacro %}

{# The files of a feed with something new: a load that the table `known` does not hold, which is a file, or a part of its quarantine
   that was tried again. Of feeds whose records are read together, all files as soon as one is new. #}
{% macro files_with_news(feed, records, known) -%}
    {%- set loads_new -%}
        select distinct
            file_id,
            loaded_at
        from {{ records }}
        {{ "where feed = '" ~ feed ~ "'" }}
        except
        select distinct
            file_id,
            loaded_at
        from {{ known }}
        {{ "where feed = '" ~ feed ~ "'" }}
    {%- endset -%}
    {%- if reads_records_together(feed) -%}
        select distinct file_id from {{ records }} where feed = '{{ feed }}' and exists ({{ loads_new }})
    {%- else -%}
        select distinct file_id from ({{ loads_new }}) as loads_new
    {%- endif -%}
{%- endmacro %}

{# Instead of an event: every event. Stands in the lists of events to be rated where all of them are. #}
{% macro every_event() -%} * {%- endmacro %}
{% macro is_every_event() -%} event_id = '{{ every_event() }}' {%- endmacro %}

{# Instead of a day: every day, in the list of days to be summed again. #}
{% macro no_day() -%} cast('0001-01-01' as date) {%- endmacro %}

{# A table that is made anew needs a list that asks for everything: else it would hold no more than the changes of the last run. #}
{% macro require_everything(list, is_everything) -%}
    select case when not exists (select 1 from {{ list }} where {{ is_everything }}) then {{ fail(
        this.identifier ~ ' is made anew, but ' ~ list.identifier ~ ' does not ask for that: refresh what comes before it too '
        ~ '(dbt run --full-refresh --select +' ~ this.identifier ~ ')'
    ) }} end
{%- endmacro %}

{# Before a model adds what it reckoned again: what it holds of the list goes, in one transaction with the adding.
   list             the relation that says what is reckoned again
   key              its column, and the model's, that says of what
   is_everything    its condition for a row in place of all others
   is_whole         its condition for a row that says so of all there is of the key #}
{% macro make_room_for(list, key, is_everything, is_whole='true') -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where
            exists (select 1 from {{ list }} where {{ is_everything }})
            or {{ key }} in (select {{ key }} from {{ list }} where {{ is_whole }})
    {%- else -%}
        {{ require_everything(list, is_everything) }}
    {%- endif -%}
{%- endmacro %}

{# The same for a model that says in words what the keys of another table stand for: those go that the other one has no more. #}
{% macro drop_unused(table, key, list, is_everything) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ key }} not in (select {{ key }} from {{ table }})
    {%- else -%}
        {{ require_everything(list, is_everything) }}
    {%- endif -%}
{%- endmacro %}

{# A row of a table as one text, to be compared. #}
{% macro row_text(relation) -%}
    {%- set texts = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) or [] -%}
        {%- do texts.append("coalesce(cast(" ~ column.name ~ " as string), '')") -%}
    {%- endfor -%}
    {{ texts | join(" || '|' || ") or "''" }}
{%- endmacro %}

{# Did the event begin on one of the days that are made again? Written out as dates, so that the engine skips whatever it holds of other
   days. Of any day, where the list is not made yet and the statement is only compiled. #}
{% macro started_on_days_of(days) -%}
    {%- set made_again = 'select usage_date, is_every_day from ' ~ days ~ ' where not is_added_to order by usage_date' -%}
    {%- set is_made = execute and load_relation(days) is not none -%}
    {%- set found = run_query(made_again) if is_made else [] -%}
    {%- if not is_made or found | selectattr('is_every_day') | list -%} true
    {%- elif not found -%} false
    {%- else -%}
        {%- set dates = found | map(attribute='usage_date') | map('string') | list -%}
        started_at >= cast('{{ dates | first }}' as timestamp)
        and started_at < cast('{{ dates | last }}' as timestamp) + interval 1 day
        and cast(started_at as date) in (
            {%- for day in dates -%} cast('{{ day }}' as date){{ ', ' if not loop.last }} {%- endfor -%}
        )
    {%- endif -%}
{%- endmacro %}
