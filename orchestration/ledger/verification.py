"""Are the books still what was booked?

Belongs here: recomputing the chain of seals, comparing the exports with the books. Does not belong here: sealing
(`seals.py`), repairing anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration import ledger
from orchestration.ledger import seals
from orchestration.ledger.books import ALL_BOOKS, BOOKS_SEALED, SEALS, Book
from orchestration.sql import fetch_rows

ROWS_NAMED = 5


class NoSeals(Exception):
    """There is nothing to verify yet. The message says what to do."""


@dataclass(frozen=True)
class Verification:
    """What the chain says of the books. Nothing is wrong where `defects` is empty."""

    seals: int
    rows: dict[str, int]
    last_hash: str | None
    defects: list[str] = field(default_factory=list)


@contextmanager
def opened(warehouse: Path, export_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The books for reading: those of the warehouse, else those of the exports. Raises NoSeals where the warehouse was
    last booked before there were seals."""
    if warehouse.exists():
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            try:
                connection.execute("select 1 from ledger.seals limit 1")
            except duckdb.CatalogException:
                raise NoSeals("the books have no seals yet: the next `tollgate run` seals them") from None
            yield connection
    else:
        with duckdb.connect() as connection:
            ledger.prepare(connection, export_dir)
            yield connection


def verify(connection: duckdb.DuckDBPyConnection, export_dir: Path | None, noted: str | None = None) -> Verification:
    """Are the books what was sealed, is the chain whole, does it hold the seal that somebody noted, and do the exports
    in `export_dir` say the same? `connection` is open on the books, be it for reading."""
    defects = [*_broken_links(connection), *_broken_seals(connection), *_laws_broken(connection)]
    if noted and not connection.execute("select 1 from ledger.seals where seal_hash = ?", [noted.lower()]).fetchone():
        defects.append(f"the chain does not hold the seal {noted}: the books up to it were replaced")
    if export_dir:
        for book in ALL_BOOKS:
            defects += _export_differs(connection, book, export_dir / book.file)
    rows = {book.table: connection.execute(f"select count(*) from {book.table}").fetchone()[0] for book in ALL_BOOKS}
    return Verification(rows.pop(SEALS.table), rows, seals.last(connection), defects)


def _broken_links(connection: duckdb.DuckDBPyConnection) -> list[str]:
    broken = fetch_rows(
        connection,
        f"""
        from (
            select seal_number, seal_hash = {seals.SEAL_HASH} as is_own_hash,
                previous_hash is not distinct from lag(seal_hash, 1, '{seals.ORIGIN}') over (order by seal_number)
                    and seal_number = row_number() over (order by seal_number) as continues
            from ledger.seals
        )
        where not (is_own_hash and continues) order by seal_number""",
    )
    return [
        f"seal {row['seal_number']} "
        + ("does not continue the one before it" if row["is_own_hash"] else "was changed: its hash is not its own")
        for row in broken
    ]


def _broken_seals(connection: duckdb.DuckDBPyConnection) -> list[str]:
    defects = []
    for book in BOOKS_SEALED:
        for row in fetch_rows(
            connection,
            f"""
            select sealed.seal_number, sealed.sealed_at, sealed.row_count, coalesce(found.row_count, 0) as rows_now
            from ledger.seals as sealed
            left join (
                select seal_number, count(*) as row_count, {seals.rows_hash(book)} as rows_hash
                from {book.table} group by seal_number
            ) as found on sealed.seal_number = found.seal_number
            where sealed.book = '{book.table}' and sealed.rows_hash is distinct from found.rows_hash
            order by sealed.seal_number""",
        ):
            what = (
                "a row of them was changed"
                if row["rows_now"] == row["row_count"]
                else f"they are {row['rows_now']:,} now"
            )
            defects.append(
                f"seal {row['seal_number']} of {row['sealed_at']:%Y-%m-%d %H:%M} holds {row['row_count']:,} rows of "
                f"{book.table}: {what}"
            )
        unsealed = connection.execute(
            f"""select {book.key} from {book.table} as booked
            where not exists (
                select 1 from ledger.seals
                where ledger.seals.seal_number = booked.seal_number and ledger.seals.book = '{book.table}'
            ) order by 1"""
        ).fetchall()
        if unsealed:
            defects.append(f"{book.table} has rows that no seal holds: {_named([key for (key,) in unsealed])}")
    return defects


def _laws_broken(connection: duckdb.DuckDBPyConnection) -> list[str]:
    unbalanced = connection.execute(
        """select entry_id || ' (' || currency || ')' from ledger.postings group by entry_id, currency
        having sum(debit_amount) != sum(credit_amount) order by 1"""
    ).fetchall()
    return [f"entries do not balance: {_named([entry for (entry,) in unbalanced])}"] if unbalanced else []


def _export_differs(connection: duckdb.DuckDBPyConnection, book: Book, file: Path) -> list[str]:
    if not file.exists():
        booked = connection.execute(f"select count(*) from {book.table}").fetchone()[0]
        return [f"{file} is missing"] if booked else []
    names = {name for (name, *_) in connection.execute("describe from read_parquet(?)", [str(file)]).fetchall()}
    if missing := [name for name in book.stored_names if name not in names]:
        return [f"{file} lacks {', '.join(missing)}: the next publication writes it anew"]
    columns = ", ".join(book.stored_names)
    differing = connection.execute(
        f"""
        with exported as (select {columns} from read_parquet($1)), booked as (select {columns} from {book.table})
        select distinct {book.key}
        from ((from exported except all from booked) union all (from booked except all from exported)) order by 1""",
        [str(file)],
    ).fetchall()
    if not differing:
        return []
    return [f"{file} is not what {book.table} holds: {_named([str(key) for (key,) in differing])}"]


def _named(keys: list[str]) -> str:
    more = f" and {len(keys) - ROWS_NAMED:,} more" if len(keys) > ROWS_NAMED else ""
    return ", ".join(keys[:ROWS_NAMED]) + more
