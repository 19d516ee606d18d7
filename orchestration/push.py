"""Pushing: the published marts in a schema of PostgreSQL, for tools that want a server.

Belongs here: what PostgreSQL is told, and the comparison before it is committed. Does not belong here: what is
published and when (`publish.py`).

A push is one transaction that replaces rows, not tables. So a reader sees one publication or the one before it, also
in a transaction that began earlier; nobody waits for anybody; and views, grants and indexes that others made stay.
Only where the columns of a mart changed is its table made anew. The table `publication` says what the marts are.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from orchestration.gate import SCHEMA
from orchestration.publish import CURRENT, FILE, MANIFEST
from orchestration.sql import fetch_rows, quote_name, quote_text

INSTANT = "timestamp with time zone"
TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "INTEGER": "integer",
    "TIMESTAMP": INSTANT,  # what a mart calls `_at` is UTC
    "VARCHAR": "text",
}
NUMBERS = ("bigint", "integer", "numeric")
BLOCK_BYTES = 1 << 18
LOCK_TIMEOUT = "10s"
"""Where a table is made anew and somebody reads it: rather no push than all later readers in a queue behind it."""

MARTS = """
    select
        marts.table_name as name, any_value(marts.comment) as comment,
        list({'name': column_name, 'type': data_type, 'comment': columns.comment} order by column_index) as columns
    from duckdb_tables() as marts
    join duckdb_columns() as columns using (database_oid, table_oid)
    where marts.schema_name = $schema
    group by marts.table_name
    order by marts.table_name
"""
SHAPES = """
    select relname, array_agg(array[attname::text, format_type(atttypid, atttypmod)] order by attnum)
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where relnamespace = to_regnamespace(quote_ident(%s)) and relkind in ('r', 'p', 'v', 'm', 'f')
    group by relname
"""


class PushError(Exception):
    """Nothing was pushed, and what the schema held is untouched. The message says why, and what to do."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    comment: str | None


@dataclass(frozen=True)
class Table:
    """A table as PostgreSQL is to have it. Its first column is its key."""

    name: str
    comment: str | None
    columns: list[Column]

    @property
    def shape(self) -> list[list[str]]:
        return [[column.name, column.type] for column in self.columns]

    @property
    def totals(self) -> str:
        """What must be the same on both sides: how many rows and values, and what the numbers add up to."""
        names = [(quote_name(column.name), column.type) for column in self.columns]
        counts = [f"count({name})" for name, _ in names]
        sums = [f"sum({name})" for name, kind in names if kind.startswith(NUMBERS)]
        return ", ".join(["count(*)", *counts, *sums])


PUBLICATION = Table(
    "publication",
    "One row: the publication that the tables of this schema are.",
    [
        Column("version", "text", "Its name."),
        Column("published_at", INSTANT, "When it was made."),
        Column("pushed_at", INSTANT, "When the latest of its tables was brought here."),
        Column("ledger_seal", "text", "The last seal of its books, for `tollgate verify --seal`."),
        Column("manifest", "jsonb", "Its manifest.json: rows and fingerprint of each table."),
    ],
)


@dataclass(frozen=True)
class Push:
    """What a push did: rows of each table that it wrote, none where all was there as it was published."""

    published_at: str
    rows: dict[str, int]
    dropped: list[str]


def push(published: Path, server: str, schema: str = SCHEMA) -> Push:
    """Bring the publication of the folder `published` into a schema of the server with this URL. Raises PushError.

    A table that is there already as it was published is left alone.
    """
    version = (published / CURRENT).resolve()
    if not (version / MANIFEST).exists():
        raise PushError(f"{published} holds no publication yet: run `tollgate run`")
    manifest = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    with duckdb.connect(str(version / FILE), read_only=True) as source, _transaction(server) as connection:
        marts = _marts(source)
        target = Target(connection, schema, marts)
        dropped = target.drop_what_is_gone(marts)
        rows = {
            mart.name: target.replace(source, mart)
            for mart in marts
            if target.fingerprint(mart) != manifest["tables"][mart.name]["fingerprint"] or target.differs(source, mart)
        }
        if rows or dropped or target.manifest != manifest:
            target.note(manifest)
    return Push(manifest["published_at"], rows, dropped)


def _marts(source: duckdb.DuckDBPyConnection) -> list[Table]:
    return [
        Table(
            mart["name"],
            mart["comment"],
            [Column(column["name"], _type(mart["name"], column), column["comment"]) for column in mart["columns"]],
        )
        for mart in fetch_rows(source, MARTS, schema=SCHEMA)
    ]


def _type(mart: str, column: dict[str, str]) -> str:
    if decimal := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", column["type"]):
        return f"numeric({decimal[1]},{decimal[2]})"
    if column["type"] not in TYPES:
        raise PushError(f"{mart}.{column['name']} is {column['type']}, for which no type of PostgreSQL is known")
    return TYPES[column["type"]]


@contextmanager
def _transaction(server: str) -> Iterator[psycopg.Connection]:
    """All or nothing of what happens inside. What PostgreSQL refuses is said in its own words."""
    try:
        with psycopg.connect(server, client_encoding="UTF8", application_name="tollgate") as connection:
            connection.execute("set local timezone to 'UTC'")
            connection.execute(sql.SQL("set local lock_timeout to {}").format(LOCK_TIMEOUT))
            yield connection
    except psycopg.errors.DependentObjectsStillExist as error:
        raise PushError(
            "the columns of a mart changed, and something is built on its table; drop that, push, and make it again: "
            f"{_said(error)}"
        ) from error
    except psycopg.errors.LockNotAvailable as error:
        raise PushError(
            f"somebody has held a table for {LOCK_TIMEOUT} that is to be written; try again later: {_said(error)}"
        ) from error
    except psycopg.Error as error:
        raise PushError(f"PostgreSQL says: {_said(error)}") from error


def _said(error: psycopg.Error) -> str:
    parts = (error.diag.message_primary, error.diag.message_detail, error.diag.context)
    return "; ".join(part for part in parts if part) or str(error).strip()


class Target:
    """The schema, in an open transaction that no other push shares."""

    def __init__(self, connection: psycopg.Connection, schema: str, marts: list[Table]) -> None:
        self.connection = connection
        self.schema = schema
        self._keep_other_pushes_out()
        self.shapes = dict(connection.execute(SHAPES, [schema]).fetchall())
        self.manifest = self._noted()
        self._keep_to_our_tables(marts)

    def fingerprint(self, mart: Table) -> str | None:
        """Of the rows that the last push brought."""
        noted = self.manifest["tables"].get(mart.name) if self.manifest else None
        return noted and noted["fingerprint"]

    def differs(self, source: duckdb.DuckDBPyConnection, mart: Table) -> bool:
        """Is a table that was pushed not the mart any more? Whoever may write into it may have done so."""
        return self.shapes.get(mart.name) != mart.shape or self._totals(mart) != _published_totals(source, mart)

    def replace(self, source: duckdb.DuckDBPyConnection, mart: Table) -> int:
        """Have what was published in the table of the mart; how many rows."""
        if self.shapes.get(mart.name) == mart.shape:
            # `truncate` would take the rows from those too who began to read before.
            self._execute("delete from {}", self._name(mart))
        else:
            self._make(mart)
        self._comment(mart)
        self._copy(source, mart)
        there, published = self._totals(mart), _published_totals(source, mart)
        if there != published:
            raise PushError(f"{mart.name} did not arrive as it was published: {there} instead of {published}")
        return published[0]

    def drop_what_is_gone(self, marts: list[Table]) -> list[str]:
        """Drop tables of the last push that are not published any more; their names."""
        pushed = self.manifest["tables"] if self.manifest else {}
        gone = sorted((pushed.keys() & self.shapes.keys()) - {mart.name for mart in marts})
        for name in gone:
            self._execute("drop table {}", sql.Identifier(self.schema, name))
        return gone

    def note(self, manifest: dict[str, Any]) -> None:
        """Have it told beside the tables what they are."""
        if self.shapes.get(PUBLICATION.name) != PUBLICATION.shape:
            self._make(PUBLICATION)
            self._comment(PUBLICATION)
        self._execute("delete from {}", self._name(PUBLICATION))
        self.connection.execute(
            sql.SQL("insert into {} values (%s, %s, now(), %s, %s)").format(self._name(PUBLICATION)),
            [manifest["version"], manifest["published_at"], manifest["ledger_seal"], Jsonb(manifest)],
        )

    def _keep_other_pushes_out(self) -> None:
        locked = self.connection.execute(
            "select pg_try_advisory_xact_lock(hashtext(%s))", [f"tollgate push {self.schema}"]
        ).fetchone()[0]
        if not locked:
            raise PushError(f"another push into the schema {self.schema} is under way; try again when it is done")

    def _noted(self) -> dict[str, Any] | None:
        """The manifest of the last push, None before the first."""
        if self.shapes.get(PUBLICATION.name) != PUBLICATION.shape:
            return None
        row = self._execute("select manifest from {}", self._name(PUBLICATION)).fetchone()
        return row and row[0]

    def _keep_to_our_tables(self, marts: list[Table]) -> None:
        ours = {PUBLICATION.name, *self.manifest["tables"]} if self.manifest else set()
        wanted = {PUBLICATION.name, *(mart.name for mart in marts)}
        if foreign := sorted((self.shapes.keys() & wanted) - ours):
            raise PushError(
                f"the schema {self.schema} holds {', '.join(foreign)}, and no push made that; choose another --schema"
            )
        if not self.connection.execute("select to_regnamespace(quote_ident(%s))", [self.schema]).fetchone()[0]:
            self._execute("create schema {}", sql.Identifier(self.schema))

    def _make(self, table: Table) -> None:
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type)) for column in table.columns
        ]
        key = sql.SQL("primary key ({})").format(sql.Identifier(table.columns[0].name))
        self._execute("drop table if exists {}", self._name(table))
        self._execute("create table {} ({})", self._name(table), sql.SQL(", ").join([*columns, key]))

    def _comment(self, table: Table) -> None:
        self._execute("comment on table {} is {}", self._name(table), sql.Literal(table.comment))
        for column in table.columns:
            name = sql.Identifier(self.schema, table.name, column.name)
            self._execute("comment on column {} is {}", name, sql.Literal(column.comment))

    def _copy(self, source: duckdb.DuckDBPyConnection, mart: Table) -> None:
        """Through a file of text, in which a decimal has all its digits, and neither side makes an object of a row."""
        into = sql.SQL("copy {} from stdin (format csv)").format(self._name(mart))
        with tempfile.TemporaryDirectory() as folder, self.connection.cursor() as cursor:
            file = Path(folder) / f"{mart.name}.csv"
            source.execute(
                f"copy {SCHEMA}.{quote_name(mart.name)} to {quote_text(file)} (format csv, header false, nullstr '')"
            )
            with file.open("rb") as opened, cursor.copy(into) as copy:
                while block := opened.read(BLOCK_BYTES):
                    copy.write(block)

    def _totals(self, mart: Table) -> tuple:
        return self._execute("select {} from {}", sql.SQL(mart.totals), self._name(mart)).fetchone()

    def _name(self, table: Table) -> sql.Identifier:
        return sql.Identifier(self.schema, table.name)

    def _execute(self, statement: str, *parts: sql.Composable) -> psycopg.Cursor:
        return self.connection.execute(sql.SQL(statement).format(*parts))


def _published_totals(source: duckdb.DuckDBPyConnection, mart: Table) -> tuple:
    return source.execute(f"select {mart.totals} from {SCHEMA}.{quote_name(mart.name)}").fetchone()
