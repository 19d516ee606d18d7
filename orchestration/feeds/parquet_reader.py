"""Parquet: typed columns as the text that a file would hold.

Belongs here: reading Parquet, and the types that are refused. Does not belong here: what any value means.
"""

import duckdb

from orchestration.feeds.plans import (
    AtOnce,
    File,
    Plan,
    declared_positions,
    json_object,
    linked,
    new_columns,
    raw_columns,
    undeclared,
)
from orchestration.feeds.unpacking import UnreadableFile
from orchestration.sql import quote_name, quote_text

NOTHING_REFUSED = """
    select null::bigint as _record_number, null::varchar as column_name, null::varchar as reason_code,
        null::varchar as message where false"""


def read_at_once(file: File) -> AtOnce:
    return _reading(file)[0]


def plan(file: File) -> Plan:
    at_once, number, everything, rows = _reading(file)
    return Plan(
        record_count=at_once.record_count,
        readable_count=at_once.record_count,
        rows=at_once.rows,
        records=f"""
            select {number} as _record_number, {number} as line_number, {everything} as raw_text
            from {rows}""",
        refused=NOTHING_REFUSED,
        new_columns=at_once.new_columns,
    )


def _reading(file: File) -> tuple[AtOnce, str, str, str]:
    """How to read it, and SQL: a record's number, the whole record as JSON, the engine's reader."""
    link = linked(file)
    source = quote_text(str(link))
    try:
        columns = file.connection.execute(f"describe select * from read_parquet({source})").fetchall()
        (count,) = file.one(f"select sum(num_rows)::bigint from parquet_file_metadata({source})")
    except duckdb.Error as error:
        # The engine names its link, which is gone by now, and adds advice for who wrote the query.
        reason = str(error).partition("\n")[0].replace(f" '{link}'", "").replace(str(link), file.label).rstrip(".")
        raise UnreadableFile(f"{file.label}: not readable as Parquet ({reason}). Drop a whole copy.") from error
    labels = tuple(name for name, *_ in columns)
    texts = [_as_text(name, data_type) for name, data_type, *_ in columns]
    positions = declared_positions(file, labels)
    floats = [name for name, position in positions.items() if columns[position][1] in ("FLOAT", "DOUBLE")]
    if floats:
        raise UnreadableFile(
            f"{file.label}: {', '.join(floats)} is a column of floats, which do not hold what was meant. "
            f"Write it as DECIMAL or as text."
        )
    values = {name: f"nullif({texts[position]}, '')" for name, position in positions.items()}
    unknown = undeclared(file, labels, positions)
    extra = json_object({label: texts[i] for i, label in unknown.items()})
    number, rows = "file_row_number + 1", f"read_parquet({source}, file_row_number = true)"
    at_once = AtOnce(
        rows=f"select {raw_columns(file, number, values, extra)} from {rows}",
        record_count=count,
        new_columns=new_columns(file.feed, unknown.values()),
    )
    return at_once, number, json_object(dict(zip(labels, texts, strict=True))), rows


def _as_text(name: str, data_type: str) -> str:
    """SQL: a typed value as the text that a file would hold. Zoned instants are spelt in UTC with a Z."""
    value = quote_name(name)
    if data_type == "TIMESTAMP WITH TIME ZONE":
        return f"replace(({value} at time zone 'UTC')::varchar, ' ', 'T') || 'Z'"
    if data_type.startswith("TIMESTAMP"):
        return f"replace({value}::varchar, ' ', 'T')"
    if data_type.endswith("]") or data_type.startswith(("STRUCT", "MAP")):
        return f"to_json({value})::varchar"
    return f"{value}::varchar"
