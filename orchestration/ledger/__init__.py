"""The books: the tables of the schema `ledger` in the warehouse file, append-only, never rebuilt by dbt.

Belongs here: creating, restoring, booking and exporting them. Does not belong here: what to book (the models
`settle.fct_settlement_ledger` and `settle.fct_partner_charges` hold what is booked and what the run proposes, in the
same columns), when a month is over (`periods.py`), how changes show (`seals.py`), the tables' columns (`books.py`).

The warehouse file may be deleted and rebuilt from the landing files at any time; the bookings may not. So
each publication exports them, and a new warehouse starts from that export.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.ledger import seals
from orchestration.ledger.books import ALL_BOOKS, BOOKS, BOOKS_SEALED, CHARGES, CLOSINGS, POSTINGS, SEALS, Book
from orchestration.resources import POOL, Warehouse
from orchestration.sql import quote_text, transaction

__all__ = ["CHARGES", "CLOSINGS", "POSTINGS", "LedgerError", "book", "export", "opened_books", "prepare"]

OFFENDERS_SHOWN = 5


class LedgerError(Exception):
    """The proposed postings break a law of the books; nothing was booked."""


def prepare(connection: duckdb.DuckDBPyConnection, export_dir: Path) -> int:
    """Create the books where they are missing and bring back exported bookings that they lack; how many
    those were.

    The models read the tables, so this comes before them. What was once exported was booked, so it is brought
    back into an older copy of the warehouse too.
    """
    with transaction(connection):
        connection.execute("create schema if not exists ledger")
        restored = {book.table: _prepare(connection, book, export_dir / book.file) for book in ALL_BOOKS}
    return sum(restored[book.table] for book in BOOKS)


def _prepare(connection: duckdb.DuckDBPyConnection, book: Book, export_file: Path) -> int:
    definition = ", ".join(f"{name} {kind}" for name, kind in book.columns.items())
    connection.execute(f"create table if not exists {book.table} ({definition})")
    if book.is_sealed:
        connection.execute(f"alter table {book.table} add column if not exists seal_number integer")
    if not export_file.exists():
        return 0
    # An export from before there were seals has none: its rows are sealed by the next booking.
    exported = connection.execute("describe from read_parquet(?)", [str(export_file)]).fetchall()
    names = ", ".join(name for name in book.stored_names if name in {name for (name, *_) in exported})
    return connection.execute(
        f"""
        insert into {book.table} ({names})
        select {names} from read_parquet($1) as exported
        where not exists (select 1 from {book.table} as booked where booked.{book.key} = exported.{book.key})
        order by {book.key}""",
        [str(export_file)],
    ).fetchone()[0]


def book(connection: duckdb.DuckDBPyConnection, books: tuple[Book, ...] = BOOKS) -> int:
    """Append what the marts of the books hold and what is not booked yet; how many bookings of the first those were.

    All in one transaction. Raises LedgerError, and books nothing, where a law of a book or a column's rule is
    broken.
    """
    with transaction(connection):
        booked = [_book(connection, book) for book in books]
        for book in BOOKS_SEALED:
            seals.seal(connection, book)
    return booked[0]


def _book(connection: duckdb.DuckDBPyConnection, book: Book) -> int:
    if not connection.execute(
        "select 1 from duckdb_tables() where schema_name || '.' || table_name = ?", [book.mart]
    ).fetchone():
        raise LedgerError(f"{book.mart} does not exist; build the models before booking")
    for law, query in book.laws.items():
        _assert_law(connection, book, law, query.format(rewritten=book.rewritten, proposed=book.proposed))
    try:
        return connection.execute(
            f"insert into {book.table} ({book.names}) {book.proposed} order by {book.key}"
        ).fetchone()[0]
    except (duckdb.ConstraintException, duckdb.ConversionException) as broken:
        raise LedgerError(f"nothing was booked: {book.mart} cannot be booked: {broken}") from broken


def export(connection: duckdb.DuckDBPyConnection, export_dir: Path) -> None:
    """Write all bookings, a file per book, replacing an earlier export as a whole. The seals come last: they never
    hold more than what the other files have."""
    export_dir.mkdir(parents=True, exist_ok=True)
    if not _is_exported(connection, export_dir):
        for book in ALL_BOOKS:
            _export(connection, book, export_dir / book.file)


def _is_exported(connection: duckdb.DuckDBPyConnection, export_dir: Path) -> bool:
    """Append-only, and each row is sealed: with as many seals the files hold the same."""
    if not all((export_dir / book.file).exists() for book in ALL_BOOKS):
        return False
    (sealed,) = connection.execute(f"select count(*) from {SEALS.table}").fetchone()
    (exported,) = connection.execute("select count(*) from read_parquet(?)", [str(export_dir / SEALS.file)]).fetchone()
    return sealed == exported


def _export(connection: duckdb.DuckDBPyConnection, book: Book, final: Path) -> None:
    unfinished = final.with_name(f".{final.name}.new")
    names = ", ".join(book.stored_names)
    connection.execute(
        f"copy (select {names} from {book.table} order by {book.key}) to {quote_text(unfinished)} (format parquet)"
    )
    os.replace(unfinished, final)


def _assert_law(connection: duckdb.DuckDBPyConnection, book: Book, law: str, query: str) -> None:
    offenders = [str(offender) for (offender,) in connection.execute(f"{query} order by 1").fetchall()]
    if offenders:
        shown = ", ".join(offenders[:OFFENDERS_SHOWN])
        more = f" and {len(offenders) - OFFENDERS_SHOWN:,} more" if len(offenders) > OFFENDERS_SHOWN else ""
        raise LedgerError(f"nothing was booked: {law}. Broken by {shown}{more} in {book.mart}")


# --- In Dagster's graph ---------------------------------------------------------------------------------------------


@dg.multi_asset(
    name="opened_books",
    specs=[
        dg.AssetSpec(["ledger", "postings"], description="The postings booked so far, as they were booked."),
        dg.AssetSpec(["ledger", "charges"], description="The charges of partners booked so far, run by run."),
        dg.AssetSpec(["ledger", "closings"], description="The months that were closed, softly or for good."),
    ],
    group_name="ingest",
    pool=POOL,
    can_subset=True,
)
def opened_books(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """What is booked so far, for the models to read; brought back from the last export where the warehouse is new.

    The books are opened together, also where only one of them is asked for: a batch is booked in both at once.
    """
    with warehouse.connect() as connection:
        restored = prepare(connection, warehouse.home.published / "ledger")
        for book in BOOKS_SEALED:
            key = dg.AssetKey(book.table.split("."))
            if key in context.selected_asset_keys:
                (booked,) = connection.execute(f"select count(*) from {book.table}").fetchone()
                yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": booked, "restored": restored})
