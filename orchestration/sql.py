"""SQL from Python: what every module that talks to DuckDB needs and none should write again.

Belongs here: quoting, rows by name, and all-or-nothing. Does not belong here: opening a connection (`resources.py`),
any query.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing of what happens inside."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def quote_text(value: object) -> str:
    """A text literal, for where a statement takes no parameters."""
    return "'" + str(value).replace("'", "''") + "'"


def quote_name(value: str) -> str:
    """An identifier."""
    return '"' + value.replace('"', '""') + '"'


def fetch_rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | None = None, **values: Any
) -> list[dict[str, Any]]:
    """What a query gives, each row by the names of its columns. Values are for `?` in their order, or by name."""
    found = connection.execute(query, parameters or values or None)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
