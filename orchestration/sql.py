"""SQL from Python: what every module that talks to DuckDB needs and none should write again.

Belongs here: quoting, and all-or-nothing. Does not belong here: opening a connection (`resources.py`), any query.
"""

from collections.abc import Iterator
from contextlib import contextmanager

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
