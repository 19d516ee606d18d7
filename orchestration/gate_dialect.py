"""The SQLAlchemy dialect through which Great Expectations reads DuckDB 2.0: `duckdb+tollgate:///<file>`.

Belongs here: what duckdb-engine 0.17 and DuckDB 2.0 disagree on, each cure beside its reason. Does not belong
here: anything about marts, suites or results. It is for reading; nothing of Tollgate writes through
SQLAlchemy.

The pins that this module holds together: SQLAlchemy 2.1 changes the reflection that duckdb-engine builds on,
and the maintained fork of duckdb-engine refuses DuckDB 2. When one of the pins moves, `tests/test_gate.py`
says what broke.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import duckdb
import duckdb_engine
from sqlalchemy import text, types
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.pool import NullPool

DRIVER = "duckdb+tollgate"
ROWS_HELD = 10_000

TYPES: dict[str, type[types.TypeEngine]] = {
    "BIGINT": types.BigInteger,
    "BOOLEAN": types.Boolean,
    "DATE": types.Date,
    "DOUBLE": types.Double,
    "HUGEINT": types.BigInteger,
    "INTEGER": types.Integer,
    "SMALLINT": types.SmallInteger,
    "TIMESTAMP": types.DateTime,
    "VARCHAR": types.String,
}


class BufferedCursor(duckdb_engine.CursorWrapper):
    """Takes the rows at execute.

    DuckDB 2.0 streams a result and drops it, without an error, when the transaction or the connection ends.
    Great Expectations ends both before it fetches, and so read nothing.
    """

    description = None

    def __init__(self, source: duckdb.DuckDBPyConnection, connection: duckdb_engine.ConnectionWrapper) -> None:
        super().__init__(source, connection)
        self._source = source
        self._rows = iter(())

    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        super().execute(statement, parameters, context)
        self.description = self._source.description
        self._rows = self._held(self._source.fetchmany(ROWS_HELD + 1) if self.description else [])

    def _held(self, rows: list[tuple]) -> Iterator[tuple]:
        # Aggregates and samples are asked for, never a mart. Where a million rows fail, only the first are
        # held; whoever wants more than that is told so instead of being given a part.
        yield from rows[:ROWS_HELD]
        if len(rows) > ROWS_HELD:
            raise RuntimeError(f"the gate reads no result of more than {ROWS_HELD:,} rows; aggregate in SQL")

    def fetchone(self) -> tuple | None:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple]:
        return list(islice(self._rows, size or 1))

    def fetchall(self) -> list[tuple]:
        return list(self._rows)


class BufferedConnection(duckdb_engine.ConnectionWrapper):
    def __init__(self, source: duckdb.DuckDBPyConnection) -> None:
        super().__init__(source)
        self._source = source

    def cursor(self) -> BufferedCursor:
        return BufferedCursor(self._source, self)


class QuotingPreparer(duckdb_engine.DuckDBIdentifierPreparer):
    """Quotes every name: DuckDB trips over more words (a column `at`) than those that it lists as reserved."""

    def _requires_quotes(self, value: str) -> bool:
        return True


class GateDialect(duckdb_engine.Dialect):
    supports_statement_cache = False
    preparer = QuotingPreparer

    @classmethod
    def get_pool_class(cls, url: Any) -> type[NullPool]:
        # A pooled connection would keep the file, and with it the lock that publish needs next.
        return NullPool

    def connect(self, *args: Any, url_config: dict | None = None, **kwargs: Any) -> BufferedConnection:
        # duckdb-engine adds a user agent to the configuration; DuckDB then refuses every other connection of
        # this process to the same file ("different configuration").
        return BufferedConnection(duckdb.connect(*args, **kwargs))

    # Reflection: duckdb-engine asks pg_catalog, with casts that DuckDB 2.0 does not have. DuckDB's own
    # functions know it all, and SQLAlchemy's default of one question per table is fine for some marts.

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[dict]:
        found = connection.execute(
            text("""
                select column_name, data_type, is_nullable, column_default, comment
                from duckdb_columns()
                where database_name = current_database()
                    and schema_name = coalesce(:schema, current_schema())
                    and table_name = :table_name
                order by column_index"""),
            {"schema": schema, "table_name": table_name},
        ).fetchall()
        if not found:
            raise NoSuchTableError(table_name)
        return [
            {
                "name": name,
                "type": _sqlalchemy_type(data_type),
                "nullable": nullable,
                "default": default,
                "autoincrement": False,
                "comment": comment,
            }
            for name, data_type, nullable, default, comment in found
        ]

    def get_pk_constraint(self, *args: Any, **kwargs: Any) -> dict:
        return {"constrained_columns": [], "name": None}

    def get_table_comment(self, *args: Any, **kwargs: Any) -> dict:
        return {"text": None}

    def _nothing(self, *args: Any, **kwargs: Any) -> list:
        # Expectations never ask for keys and indexes; SQLAlchemy's full reflection does, on the way.
        return []

    get_foreign_keys = get_unique_constraints = get_check_constraints = get_indexes = _nothing

    get_multi_columns = DefaultDialect.get_multi_columns
    get_multi_pk_constraint = DefaultDialect.get_multi_pk_constraint
    get_multi_foreign_keys = DefaultDialect.get_multi_foreign_keys
    get_multi_unique_constraints = DefaultDialect.get_multi_unique_constraints
    get_multi_check_constraints = DefaultDialect.get_multi_check_constraints
    get_multi_indexes = DefaultDialect.get_multi_indexes
    get_multi_table_comment = DefaultDialect.get_multi_table_comment


def _sqlalchemy_type(data_type: str) -> types.TypeEngine:
    """The SQLAlchemy type of a DuckDB type; one it does not know is read as it comes."""
    if decimal := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", data_type):
        return types.Numeric(int(decimal[1]), int(decimal[2]))
    if data_type == "TIMESTAMP WITH TIME ZONE":
        return types.DateTime(timezone=True)
    return TYPES.get(data_type, types.NullType)()


registry.register(DRIVER.replace("+", "."), __name__, GateDialect.__name__)
