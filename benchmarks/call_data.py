"""A month of calls, and the records that two carriers have of them, wrong in known ways.

Belongs here: what lands, and which record is which call. Does not belong here: loading it, measuring, and any code of
the models: what a call looks like to the carrier is written here once more, by the engine, from the same numbers.

One call in ten is one of four between the same numbers within seconds, one in a hundred one of 32, as a machine dials.
The carriers write the wall clock of Berlin, which changes in this month, 37 seconds fast, and each start up to two
seconds off; `00` before the number that was called, `xx` over the last digits of the caller's, and no caller for one
call in a hundred. Of a thousand calls they lose ten and have five that are none of ours; five are listed twice, ten
have another duration.
"""

from pathlib import Path

from rating_data import DAYS, MONTH_SECONDS, MONTH_START, Month

CALLS = """
    create table calls as
    with grouped as (
        select
            i,
            case
                when chance(i // 32, 40) % 100 = 0 then i - i % 32
                when chance(i // 4, 41) % 10 = 0 then i - i % 4
                else i
            end as first
        from range({calls}) as numbers(i)
    ),
    drawn as (
        select
            i,
            timestamp '{month_start}' + to_seconds(
                first * {seconds} // {calls} + (i - first) * (1 + (chance(first, 42) % 10)::bigint)
                + (chance(i, 43) % 2)::bigint
            ) as started_at,
            '4930' || lpad((unequal(first, 44, 20000) * 7919 % 10000000)::varchar, 7, '0') as origin,
            unequal(first, 45, {calls} // 3) as callee,
            'carrier-' || (first // 64) % 2 as carrier_id,
            chance(i, 46) % 10 > 0 as is_answered,
            least(3600, 1 + floor(60 * (pow(1 - share(i, 47), -0.6) - 1))::bigint) as seconds,
            chance(i, 48) % 1000 as fate,
            (chance(i, 49) % 5)::bigint - 2 as seconds_off,
            chance(i, 50) % 100 = 0 as is_withheld
        from grouped
    )
    select
        'ev-' || lpad(i::varchar, 11, '0') as event_id,
        * exclude (callee, seconds),
        -- Any code, and seven digits that hang on nobody else's.
        codes.code || lpad((callee * 104729 % 10000000)::varchar, 7, '0') as destination,
        case when is_answered then seconds else 0 end as seconds
    from drawn
    join codes on codes.place = 1 + callee % (select count(*) from codes)
"""
USAGE = """
    select
        event_id, 'voice' as service, 'outbound' as direction, 'account-1' as account_id, carrier_id, origin,
        destination, written(started_at) as started_at,
        case when is_answered then 'answered' else 'no_answer' end as status,
        seconds::varchar as quantity, 'second' as quantity_unit,
        written(started_at + to_seconds(seconds + 5)) as received_at
    from calls
    -- Five calls in a thousand are the carrier's alone.
    where fate not between 10 and 14 and started_at::date = date '{month_start}' + {day}
"""
# Which call is which record; a call that is listed twice has two.
RECORDS = """
    create table records as
    select 'r-' || i || '-' || copy as record_id, copy, calls.*
    from calls, range(2) as copies(copy)
    where fate >= 10 and (copy = 0 or fate between 20 and 24)
"""
CDRS = """
    select
        carrier_id, record_id, 'voice' as service, 'outbound' as direction,
        case when not is_withheld then left(origin, length(origin) - 2) || 'xx' end as calling_number,
        '00' || destination as called_number,
        strftime(
            started_at at time zone 'UTC' at time zone 'Europe/Berlin' + to_seconds(37 + seconds_off),
            '%Y-%m-%d %H:%M:%S'
        ) as started_at,
        duration::varchar as duration,
        case
            when duration = 0 then 0
            when carrier_id = 'carrier-0' then ceil(duration / 60) * 60
            else greatest(30, ceil(duration / 6) * 6)
        end::bigint::varchar as billed_quantity,
        'second' as quantity_unit
    from (
        select
            *,
            seconds + case when fate between 30 and 39 and is_answered then 1 + fate * 7 % 31 else 0 end as duration
        from records
    )
    order by started_at, record_id
"""
TRUTH = "select 'native:' || carrier_id || ':' || record_id as cdr_id, 'native:' || event_id as event_id from records"


class CallMonth(Month):
    """A month with so many calls, over two carriers of whom each lists its own."""

    def __init__(self, calls: int) -> None:
        super().__init__(calls, deck_rows=20_000, carriers=2, partners=1)
        self.engine.execute("set timezone = 'UTC'")
        self.engine.execute(CALLS.format(calls=calls, month_start=MONTH_START, seconds=MONTH_SECONDS - 3600))
        self.engine.execute(RECORDS)

    def write_usage(self, folder: Path) -> None:
        for day in range(DAYS + 2):
            query = USAGE.format(month_start=MONTH_START, day=day)
            self.engine.execute(f"copy ({query}) to '{folder}/day {day:02}.parquet' (format parquet)")

    def write_cdrs(self, folder: Path) -> None:
        self.engine.execute(f"copy ({CDRS}) to '{folder}/October.parquet' (format parquet)")

    def write_truth(self, file: Path) -> None:
        """The event of each record that has one of ours."""
        query = f"{TRUTH} where fate not between 10 and 14"
        self.engine.execute(f"copy ({query}) to '{file}' (format parquet)")
