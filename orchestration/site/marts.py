"""The published tables as text that JSON can hold: a decimal is never a float, not even on its way to a page.

Belongs here: reading rows. Does not belong here: which rows (`chunks.py`).
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import duckdb

Table = dict[str, Any]
"""`{"columns": [...], "rows": [[...], ...]}`"""
ROWS_AT_A_TIME = 20_000


class Marts:
    """The tables of one publication."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        found = connection.execute("select table_name from duckdb_tables() where schema_name = 'settle'")
        self.names = {name for (name,) in found.fetchall()}

    def has(self, table: str) -> bool:
        """A publication of before an upgrade may lack a table."""
        return table in self.names

    def column(self, table: str, name: str, kind: str) -> str:
        """A column, or null where the publication is of before it came."""
        found = self.connection.execute(
            "select 1 from duckdb_columns() where schema_name = 'settle' and table_name = ? and column_name = ?",
            [table, name],
        ).fetchone()
        return name if found else f"cast(null as {kind}) as {name}"

    def value(self, sql: str) -> Any:
        return self.connection.execute(sql).fetchone()[0]

    def read(self, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """The names of the columns, and the rows as they are asked for."""
        described = self.connection.execute(f"describe {sql}").fetchall()
        shown = ", ".join(as_text(f'"{name}"', kind) for name, kind, *_ in described)
        return [name for name, *_ in described], _rows(self.connection.execute(f"select {shown} from ({sql})"))

    def table(self, sql: str) -> Table:
        columns, rows = self.read(sql)
        return {"columns": columns, "rows": list(rows)}

    def tables_by(self, sql: str) -> dict[str, Table]:
        """A table for each value of the first column, by which the query is ordered, without that column."""
        columns, rows = self.read(sql)
        found = groupby(rows, key=lambda row: row[0])
        return {key: {"columns": columns[1:], "rows": [row[1:] for row in of]} for key, of in found}


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := found.fetchmany(ROWS_AT_A_TIME):
        yield from rows


def as_text(column: str, kind: str) -> str:
    """A column as JSON can hold it; of a decimal the digits that say something."""
    if kind.startswith("DECIMAL") and not kind.endswith(",0)"):
        return f"rtrim(rtrim(cast({column} as varchar), '0'), '.') as {column}"
    if kind.startswith(("DECIMAL", "DATE", "TIME")):
        return f"cast({column} as varchar) as {column}"
    return f"cast({column} as bigint) as {column}" if kind == "HUGEINT" else column
