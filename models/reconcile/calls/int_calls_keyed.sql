-- One row per event of ours and per call record of theirs, as narrow as it can be: numbers in place of
-- texts, so that millions are put in order in memory.
{% set sides = [
    ('our', ref('int_events_covered'), 'event_number', 'cast(0 as bigint)', 'quantity', "quantity_unit = 'second'"),
    ('their', ref('int_cdrs_deduplicated'), 'cdr_number', 'cast(record_number as bigint)', 'duration_seconds', 'true'),
] %}
with

formats as (

    select * from {{ ref('int_number_formats_estimated') }}

),

{% for side, calls, number, listed_number, duration, has_duration in sides %}
    {{ side }}_calls as (

        select
            {{ number }} as call_number,
            {{ listed_number }} as listed_number,
            scope_number,
            called_number,
            calling_number,
            call_id,
            {{ epoch_milliseconds('started_at') }} as started_ms,
            case when {{ has_duration }} then cast({{ duration }} * 1000 as bigint) end as duration_ms,
            cast(started_at as date) as written_date
        from {{ calls }}

    ),

    {{ side }}_numbers_cut as (

        select
            {{ side }}_calls.*,
            {{ compared_digits('called_number', 'formats.' ~ side ~ '_hidden_called_digits') }}
                as called_digits,
            case
                when formats.is_calling_compared
                    then {{ compared_digits('calling_number', 'formats.' ~ side ~ '_hidden_calling_digits') }}
            end as calling_digits
        from {{ side }}_calls
        inner join formats
            on {{ side }}_calls.scope_number = formats.scope_number

    ),

{% endfor %}
calls_keyed as (

    {% for side in ['our', 'their'] %}
        select
            {{ 'true' if side == 'our' else 'false' }} as is_ours,
            call_number,
            listed_number,
            scope_number,
            case
                when called_digits is not null
                    then {{ number_of_values(['scope_number', 'called_digits']) }}
            end as called_key,
            case
                when calling_digits is not null then {{ number_of_values(['calling_digits']) }}
            end as calling_key,
            case
                when called_digits is not null
                    then {{ number_of_values([
                        'scope_number', 'called_digits', "coalesce(calling_digits, '')"
                    ]) }}
            end as numbers_key,
            case when call_id is not null then {{ number_of_values(['scope_number', 'call_id']) }} end
                as id_key,
            started_ms,
            duration_ms,
            written_date
        from {{ side }}_numbers_cut
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from calls_keyed
