{# Time zones and the parsing of times. An instant is a timestamp in UTC without a zone. #}

{# ISO 8601 text to an instant; null where it is none, or where it has neither Z nor an offset: a local time would land in
   the wrong day unseen. #}
{% macro parse_instant(text) -%} {{ adapter.dispatch('parse_instant')(text) }} {%- endmacro %}
{% macro default__parse_instant(text) -%}
    case
        when regexp_matches({{ text }}, '[0-9]:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)? ?([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$')
            then (try_cast({{ text }} as timestamp with time zone) at time zone 'UTC')
    end
{%- endmacro %}
{% macro spark__parse_instant(text) -%} try_to_timestamp({{ text }}) {%- endmacro %}

{# RFC 2822 text (Fri, 18 Oct 2019 17:00:00 +0000) to an instant; null where it is none. #}
{% macro parse_rfc2822(text) -%} {{ adapter.dispatch('parse_rfc2822')(text) }} {%- endmacro %}
{% macro default__parse_rfc2822(text) -%}
    (try_strptime({{ text }}, '%a, %d %b %Y %H:%M:%S %z') at time zone 'UTC')
{%- endmacro %}
{% macro spark__parse_rfc2822(text) -%} try_to_timestamp({{ text }}, 'EEE, d MMM yyyy HH:mm:ss Z') {%- endmacro %}

{# Text of a declared shape (strptime's codes) that names no zone, as an instant: the wall clock of the feed's own zone. Null where it is
   none, or where the feed declares no zone. #}
{% macro parse_wall_clock(text, format, time_zone) -%} {{ adapter.dispatch('parse_wall_clock')(text, format, time_zone) }} {%- endmacro %}
{% macro default__parse_wall_clock(text, format, time_zone) -%}
    (try_strptime(trim({{ text }}), '{{ format }}') at time zone {{ time_zone }} at time zone 'UTC')
{%- endmacro %}
{% macro spark__parse_wall_clock(text, format, time_zone) -%}
    {%- set codes = {'%Y': 'yyyy', '%m': 'MM', '%B': 'MMMM', '%d': 'dd', '%H': 'HH', '%I': 'hh', '%M': 'mm', '%S': 'ss', '%p': 'a', '%f': 'SSSSSS', '%g': 'SSS'} -%}
    {%- set pattern = namespace(text=format) -%}
    {%- for code, letters in codes.items() -%} {%- set pattern.text = pattern.text | replace(code, letters) -%} {%- endfor -%}
    to_utc_timestamp(try_to_timestamp(trim({{ text }}), '{{ pattern.text }}'), {{ time_zone }})
{%- endmacro %}

{# Whole seconds, or with per_second=1000 milliseconds, since 1970-01-01 UTC, as an instant; null where the text is no such number,
   or is one beyond what an instant holds. #}
{% macro parse_epoch(text, per_second=1) -%} {{ adapter.dispatch('parse_epoch')(text, per_second) }} {%- endmacro %}
{% macro default__parse_epoch(text, per_second) -%}
    case
        when regexp_full_match(trim({{ text }}), '[0-9]{1,{{ 12 if per_second == 1 else 15 }}}')
            then make_timestamp(try_cast(trim({{ text }}) as bigint) * {{ 1000000 // per_second }})
    end
{%- endmacro %}
{% macro spark__parse_epoch(text, per_second) -%}
    case
        when trim({{ text }}) rlike '^[0-9]{1,{{ 12 if per_second == 1 else 15 }}}$'
            then timestamp_micros(try_cast(trim({{ text }}) as bigint) * {{ 1000000 // per_second }})
    end
{%- endmacro %}

{# Wall clock of an instant in a zone. #}
{% macro to_local(instant, time_zone) -%} {{ adapter.dispatch('to_local')(instant, time_zone) }} {%- endmacro %}
{% macro default__to_local(instant, time_zone) -%}
    (cast({{ instant }} as timestamp) at time zone 'UTC' at time zone {{ time_zone }})
{%- endmacro %}
{% macro spark__to_local(instant, time_zone) -%} from_utc_timestamp({{ instant }}, {{ time_zone }}) {%- endmacro %}

{# Instant of a wall clock in a zone. #}
{% macro to_instant(wall_clock, time_zone) -%} {{ adapter.dispatch('to_instant')(wall_clock, time_zone) }} {%- endmacro %}
{% macro default__to_instant(wall_clock, time_zone) -%}
    (cast({{ wall_clock }} as timestamp) at time zone {{ time_zone }} at time zone 'UTC')
{%- endmacro %}
{% macro spark__to_instant(wall_clock, time_zone) -%} to_utc_timestamp({{ wall_clock }}, {{ time_zone }}) {%- endmacro %}

{# Is this text the name of an IANA time zone? #}
{% macro is_time_zone(name) -%} {{ adapter.dispatch('is_time_zone')(name) }} {%- endmacro %}
{% macro default__is_time_zone(name) -%} {{ name }} in (select name from pg_timezone_names()) {%- endmacro %}
{% macro spark__is_time_zone(name) -%} try_to_timestamp(from_utc_timestamp('2000-01-01', {{ name }})) is not null {%- endmacro %}

{# Seconds from one instant to another, to the millisecond; negative where the second one is earlier. #}
{% macro seconds_between(first_instant, last_instant) -%} {{ adapter.dispatch('seconds_between')(first_instant, last_instant) }} {%- endmacro %}
{% macro default__seconds_between(first_instant, last_instant) -%}
    cast((epoch_ms({{ last_instant }}) - epoch_ms({{ first_instant }})) * 0.001 as decimal(18, 3))
{%- endmacro %}
{% macro spark__seconds_between(first_instant, last_instant) -%}
    cast((unix_millis({{ last_instant }}) - unix_millis({{ first_instant }})) * 0.001 as decimal(18, 3))
{%- endmacro %}

{# Day of the week of a date: Monday is 1. #}
{% macro day_of_week(day) -%} {{ adapter.dispatch('day_of_week')(day) }} {%- endmacro %}
{% macro default__day_of_week(day) -%} cast(isodow({{ day }}) as integer) {%- endmacro %}
{% macro spark__day_of_week(day) -%} (weekday({{ day }}) + 1) {%- endmacro %}

{# A date some days later. #}
{% macro add_days(start_date, days) -%} {{ adapter.dispatch('add_days')(start_date, days) }} {%- endmacro %}
{% macro default__add_days(start_date, days) -%} ({{ start_date }} + {{ days }}) {%- endmacro %}
{% macro spark__add_days(start_date, days) -%} date_add({{ start_date }}, {{ days }}) {%- endmacro %}

{# Whole days from one date to another; negative where the second one is earlier. #}
{% macro days_between(first_date, last_date) -%} {{ adapter.dispatch('days_between')(first_date, last_date) }} {%- endmacro %}
{% macro default__days_between(first_date, last_date) -%} cast({{ last_date }} - {{ first_date }} as integer) {%- endmacro %}
{% macro spark__days_between(first_date, last_date) -%} (unix_date({{ last_date }}) - unix_date({{ first_date }})) {%- endmacro %}

{# First day of the month of a date, as a date. #}
{% macro month_of(day) -%} cast(date_trunc('month', {{ day }}) as date) {%- endmacro %}

{# First day of the month after that of a date, as a date. #}
{% macro next_month_of(day) -%} cast(date_trunc('month', {{ day }}) + interval 1 month as date) {%- endmacro %}

{# The same day so many months later; a first of a month stays one. #}
{% macro add_months(day, months) -%} {{ adapter.dispatch('add_months')(day, months) }} {%- endmacro %}
{% macro default__add_months(day, months) -%} cast({{ day }} + to_months(cast({{ months }} as integer)) as date) {%- endmacro %}
{% macro spark__add_months(day, months) -%} add_months({{ day }}, cast({{ months }} as int)) {%- endmacro %}

{# How many months the month of one date lies before that of another. #}
{% macro months_between(first_day, last_day) -%}
    ((year({{ last_day }}) - year({{ first_day }})) * 12 + month({{ last_day }}) - month({{ first_day }}))
{%- endmacro %}

{# Name of a month (2026-10) inside identifiers. #}
{% macro month_name_of(day) -%} substring(cast({{ day }} as string), 1, 7) {%- endmacro %}

{# Milliseconds since 1970-01-01 UTC, a whole number: to be compared and subtracted by the million. #}
{% macro epoch_milliseconds(instant) -%} {{ adapter.dispatch('epoch_milliseconds')(instant) }} {%- endmacro %}
{% macro default__epoch_milliseconds(instant) -%} epoch_ms({{ instant }}) {%- endmacro %}
{% macro spark__epoch_milliseconds(instant) -%} unix_millis({{ instant }}) {%- endmacro %}

{# The same the other way round. #}
{% macro from_epoch_milliseconds(milliseconds) -%} {{ adapter.dispatch('from_epoch_milliseconds')(milliseconds) }} {%- endmacro %}
{% macro default__from_epoch_milliseconds(milliseconds) -%} make_timestamp(({{ milliseconds }}) * 1000) {%- endmacro %}
{% macro spark__from_epoch_milliseconds(milliseconds) -%} timestamp_millis({{ milliseconds }}) {%- endmacro %}
