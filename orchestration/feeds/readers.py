"""Readers: how the engine reads one body of text or Parquet, and how we know that it read all of it.

Belongs here: the one door to the survey and to the formats, and the order in which they are asked. Does not belong
here: opening zips, workbooks and envelopes (`unpacking.py`), the look at the bytes (`surveying.py`), a format's own
SQL (`csv_reader.py`, `json_reader.py`, `parquet_reader.py`, `fixed_width_reader.py`), tables, transactions and the
ledger (`orchestration/loading.py`), the meaning of any column.

A CSV file whose every line is shown to be well formed is read by the engine at once: the survey counts its records,
vouches for each of them by its bytes, and cuts the text into pieces that are read side by side, each from the number
of its first record on. Any other text is counted three times by different means: its lines in Python, its records by
a pattern over lines in the engine, its rows by the engine's CSV or JSON reader. Where counts disagree, the file is
refused. Python never takes a row into its hands.
"""

from pathlib import Path

import duckdb

from orchestration.feeds import Feed, csv_reader, fixed_width_reader, json_reader, parquet_reader
from orchestration.feeds.plans import AtOnce, File, Plan
from orchestration.feeds.surveying import Shape, Survey, survey
from orchestration.feeds.unpacking import Body, UnreadableFile

__all__ = ["AtOnce", "Plan", "Shape", "Survey", "plan", "read_at_once", "shape", "survey"]

READERS = {
    "csv": csv_reader,
    "jsonl": json_reader,
    "parquet": parquet_reader,
    "fixed_width": fixed_width_reader,
}


def shape(connection: duckdb.DuckDBPyConnection, feed: Feed, body: Body, scratch: Path) -> Shape | None:
    """What each line must look like for the body to be read at once; None where it needs more looking."""
    if body.format != "csv":
        return None
    return csv_reader.shape(File(connection, feed, body, None, scratch, dict(body.found)))


def read_at_once(
    connection: duckdb.DuckDBPyConnection, feed: Feed, body: Body, seen: Survey, scratch: Path
) -> AtOnce | None:
    """How to read a body that is what it should be in one pass; None where `plan` has to look at each record."""
    file = File(connection, feed, body, seen, scratch, dict(body.found))
    try:
        if seen.pieces:
            return csv_reader.read_at_once(file)
        return parquet_reader.read_at_once(file) if body.format == "parquet" and seen.byte_count else None
    except UnreadableFile:
        return None  # `plan` finds it too, and says it in the ledger


def plan(connection: duckdb.DuckDBPyConnection, feed: Feed, body: Body, seen: Survey, scratch: Path) -> Plan:
    """How to read the body, after the engine has counted and judged its records.

    scratch: a folder for copies, to be kept until the plan is carried out. Raises UnreadableFile where the
    body as a whole is not what its feed declares.
    """
    if seen.byte_count == 0:
        raise UnreadableFile(f"{body.label}: the file is empty (0 bytes). Drop it again with its content.")
    if seen.problem:
        raise UnreadableFile(f"{body.label}: {seen.problem}")
    file = File(connection, feed, body, seen, scratch, dict(body.found))
    return READERS[body.format].plan(file)
