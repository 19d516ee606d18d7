"""The SQL by which the last run computed, as it stands beside its results in `ingest.models_applied`.

Who must say how a figure came about (an explanation, a pack that leaves the house) runs this SQL again, on some rows or
elsewhere, and never a second version of it.

Belongs here: finding that SQL, and having it read other tables. Does not belong here: what is asked of it.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from orchestration.sql import fetch_rows, quote_name, quote_text


class NotApplied(Exception):
    """The last run left no SQL of a model."""


LACKING = (NotApplied, duckdb.CatalogException, duckdb.BinderException)
"""What reading a warehouse raises that no run has settled, or one of an earlier version."""


def is_lacking(error: Exception) -> str:
    """In words; with the engine's own, for a query of ours may be wrong too."""
    said = f" ({str(error).splitlines()[0]})" if str(error) else ""
    return f"nothing was settled here yet, or by an earlier version: run `tollgate run`{said}"


@contextmanager
def engine(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine in memory that reads the warehouse, attached as `tollgate`; what it makes is gone afterwards."""
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set temp_directory = {quote_text(scratch)}")
        connection.execute(f"set memory_limit = {quote_text(os.environ.get('TOLLGATE_MEMORY') or '4GB')}")
        connection.execute(f"attach {quote_text(warehouse)} as tollgate (read_only)")
        yield connection


def relation(schema: str, model: str) -> str:
    """How the SQL of other models names a model."""
    return ".".join(quote_name(part) for part in ("tollgate", schema, model))


def read(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, str]:
    """The SQL of the models of a schema, by relation. `connection` has the warehouse attached as `tollgate`.

    Raises NotApplied where the last run left none.
    """
    applied = fetch_rows(connection, "select relation_name, compiled_code from tollgate.ingest.models_applied")
    of_schema = f"{quote_name('tollgate')}.{quote_name(schema)}."
    code = {row["relation_name"]: row["compiled_code"] for row in applied if row["relation_name"].startswith(of_schema)}
    if not code:
        raise NotApplied
    return code


def without_last_line(code: str) -> str:
    """The steps of a model without its last line, so that another query over them may follow."""
    steps, last_line, _ = code.rpartition("\nselect * from ")
    if not last_line:
        raise ValueError("a model does not end with `select * from`, so nothing can follow its steps")
    return steps


def reading(code: str, **instead: str) -> str:
    """The SQL of a model, reading other tables in place of the models named."""
    for model, table in instead.items():
        code = re.sub(rf'(again|"tollgate"\."\w+")\."{model}"', table, code)
    return code
