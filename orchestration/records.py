"""The records of one file: into their raw table or into quarantine, and held against what the file says of itself.

Belongs here: SQL over the records at hand (`temp.incoming`), which loading and replaying share. Does not belong here:
when it is done and what stands or falls with it (`loading.py`, `replay.py`), how a format is read
(`feeds/readers.py`), the meaning of any value (`models/stage/`).
"""

import json
import re
from decimal import Decimal

import duckdb

from orchestration.feeds import RECORDS, Feed
from orchestration.feeds.json_reader import is_json_object
from orchestration.feeds.readers import Plan
from orchestration.feeds.unpacking import UnreadableFile
from orchestration.file_ledger import Arrival, raw_table
from orchestration.sql import quote_name, quote_text

BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
MONEY = "decimal(38, 12)"
NUMBER = "coalesce(_record_number, rowid + 1)"  # of a row of `incoming`: as the plan says, else its place


def read_incoming(connection: duckdb.DuckDBPyConnection, arrival: Arrival, plan: Plan) -> None:
    connection.execute(f"create or replace temp table incoming as {plan.rows}")
    read_count = connection.execute("select count(*) from temp.incoming").fetchone()[0]
    if read_count != plan.readable_count:
        raise UnreadableFile(
            f"{arrival.label}: {plan.readable_count} records should be readable, the engine reads {read_count}. "
            f"Nothing of it is loaded; check its quotes against {arrival.feed.declaration.name}."
        )


def drop_incoming(connection: duckdb.DuckDBPyConnection) -> None:
    """Lets go of the records at hand, and of those that a plan has cut out of a text."""
    connection.execute("drop table if exists temp.incoming; drop table if exists temp.records_across_lines")


def insert_rows(
    connection: duckdb.DuckDBPyConnection,
    arrival: Arrival,
    rows: str,
    number: str,
    condition: str = "true",
    judged: bool = True,
) -> int:
    """Rows to the raw table; if `judged`, only those whose required values are all there. Returns their number."""
    feed = arrival.feed
    columns = ", ".join(map(quote_name, feed.column_names))
    filled = "true"
    if judged and feed.filled_columns:
        filled = " and ".join(f"not {_is_blank(name)}" for name in feed.filled_columns)
    return connection.execute(
        f"""
        insert into {raw_table(feed)} by name
        select
            {columns},
            {quote_text(arrival.file_id)} as _file_id,
            {number} as _record_number,
            ?::timestamp as _loaded_at,
            _extra_columns
        from {rows} where {filled} and {condition}
        """,
        [arrival.loaded_at],
    ).fetchone()[0]


def lacks_values(connection: duckdb.DuckDBPyConnection, arrival: Arrival) -> bool:
    """Does a loaded row of the file lack a required value?"""
    blank = " or ".join(_is_blank(name) for name in arrival.feed.filled_columns) or "false"
    found = connection.execute(
        f"select 1 from {raw_table(arrival.feed)} where _file_id = {quote_text(arrival.file_id)} and ({blank}) limit 1"
    )
    return found.fetchone() is not None


def insert_quarantine(
    connection: duckdb.DuckDBPyConnection, arrival: Arrival, plan: Plan, condition: str = "true"
) -> int:
    """One row per record that cannot be read or lacks a required value. Returns their number."""
    feed = arrival.feed
    blanks = ", ".join(f"if({_is_blank(name)}, {quote_text(name)}, null)" for name in feed.filled_columns)
    amount = f"{feed.money.sign} * {_amount(feed.money.amount, feed)}" if feed.money.amount else f"null::{MONEY}"
    currency = f"upper(trim({quote_name(feed.money.currency)}))" if feed.money.currency else "null::varchar"
    raw_text = "raw_text"
    if feed.dropped:
        # What is dropped must not come in by the back door; of a text that cannot be taken apart nothing is kept.
        without = quote_text(json.dumps(dict.fromkeys(feed.dropped)))
        raw_text = f"case when {is_json_object('raw_text')} then json_merge_patch(raw_text, {without})::varchar end"
    return connection.execute(
        f"""
        insert into ingest.quarantine by name
        with blank_records as (
            select
                {NUMBER} as _record_number,
                list_filter([{blanks}]::varchar[], lambda name: name is not null) as names,
                {amount} as at_risk_amount,
                {currency} as at_risk_currency
            from temp.incoming
        ),
        refused_records as (
            select *, null::{MONEY} as at_risk_amount, null::varchar as at_risk_currency from ({plan.refused})
            union all
            select
                _record_number, names[1], 'required_value_missing',
                'required and blank: ' || array_to_string(names, ', '), at_risk_amount, at_risk_currency
            from blank_records where len(names) > 0
        )
        select
            {quote_text(arrival.file_id)} as file_id, ? as kind, ? as feed, ? as file_name,
            _record_number as record_number, line_number, column_name, reason_code, message, {raw_text} as raw_text,
            at_risk_amount, at_risk_currency, ?::timestamp as loaded_at
        from refused_records left join ({plan.records}) as file_records using (_record_number)
        where {condition}
        order by _record_number
        """,
        [feed.kind, feed.feed, arrival.label, arrival.loaded_at],
    ).fetchone()[0]


def new_columns(connection: duckdb.DuckDBPyConnection, feed: Feed, plan: Plan) -> tuple[str, ...]:
    """Columns that the feed does not know: as the plan found them, else the keys of the records."""
    if plan.new_columns is not None:
        return plan.new_columns
    known = {*feed.extra, *(column.source_name.partition(".")[0] for column in feed.columns)}
    keys = connection.execute(
        "select distinct unnest(json_keys(_extra_columns)) from temp.incoming where _extra_columns is not null"
    ).fetchall()
    return tuple(sorted(key for (key,) in keys if key not in known))


def compare_totals(
    connection: duckdb.DuckDBPyConnection, arrival: Arrival, plan: Plan, quarantined_count: int
) -> tuple[str | None, str | None]:
    """Control totals as JSON, and what to tell where one does not foot because records are in quarantine.

    Raises UnreadableFile where one does not foot although every record was read.
    """
    compared, told = {}, []
    for name, (stated_text, adds_up) in plan.totals.items():
        stated = _number(stated_text, arrival.feed.decimal_mark)
        if adds_up == RECORDS:
            found, is_partial = Decimal(plan.record_count), False
        else:
            found, read_count, unread_count = connection.execute(
                f"""
                select coalesce(sum({_amount(adds_up, arrival.feed)}), 0), count({_amount(adds_up, arrival.feed)}),
                    count(*) filter (where not {_is_blank(adds_up)} and {_amount(adds_up, arrival.feed)} is null)
                from temp.incoming
                """
            ).fetchone()
            # Where no value at all is a number, the declaration is wrong and not the file.
            is_partial = quarantined_count + unread_count > 0 and read_count > 0
        compared[name] = {"stated": stated_text, "found": f"{found.normalize():f}"}
        if stated == found:
            continue
        if stated is None:
            raise UnreadableFile(
                f"{arrival.label}: its control total {name} says {stated_text!r}, which is no number with the "
                f"decimal mark {arrival.feed.decimal_mark!r}. Correct the pattern in {arrival.feed.declaration.name}."
            )
        what = "records" if adds_up == RECORDS else f"the sum of {adds_up}"
        difference = f"its control total {name} says {stated_text}, {what} is {found.normalize():f}"
        if not is_partial:
            raise UnreadableFile(
                f"{arrival.label}: {difference}. It is cut short or was edited, so nothing of it is loaded. "
                f"Ask for a whole file."
            )
        told.append(f"{difference}; records that cannot be read may be the reason")
    return json.dumps(compared) if compared else None, "; ".join(told) or None


def _number(text: str, decimal_mark: str) -> Decimal | None:
    """A control total, written with the feed's decimal mark; None where it is no number."""
    plain = text.strip()
    if not re.fullmatch(rf"[+-]?[0-9]+({re.escape(decimal_mark)}[0-9]+)?", plain):
        return None
    return Decimal(plain.replace(decimal_mark, "."))


def _amount(name: str, feed: Feed) -> str:
    """SQL: a column of `incoming` as an exact decimal, by the feed's decimal mark; null where it is no number."""
    value = f"trim({quote_name(name)}, {BLANKS})"
    mark = "[.]" if feed.decimal_mark == "." else ","
    is_number = f"regexp_full_match({value}, '[+-]?[0-9]+({mark}[0-9]+)?')"
    return f"case when {is_number} then try_cast(replace({value}, ',', '.') as {MONEY}) end"


def _is_blank(name: str) -> str:
    """SQL: null or white space only. Comparing comes first: nearly all values pass, and trimming is dear."""
    value = quote_name(name)
    return f"({value} is null or ({value} < '!' and trim({value}, {BLANKS}) = ''))"
