"""The books: `ledger.postings` and `ledger.charges` in the warehouse file, append-only, never rebuilt by dbt.

Belongs here: creating, restoring, booking and exporting them. Does not belong here: what to book; the models
`settle.fct_settlement_ledger` and `settle.fct_partner_charges` hold what is booked and what the run proposes, in the
same columns.

The warehouse file may be deleted and rebuilt from the landing files at any time; the bookings may not. So
each publication exports them, and a new warehouse starts from that export.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.resources import POOL, Warehouse
from orchestration.sql import quote_text, transaction


@dataclass(frozen=True)
class Book:
    """A table of bookings, and the mart that holds what is booked beside what the run proposes."""

    table: str
    mart: str
    columns: dict[str, str]
    laws: dict[str, str]
    """Each law with the query that names what breaks it."""

    @property
    def names(self) -> str:
        return ", ".join(self.columns)

    @property
    def key(self) -> str:
        return next(iter(self.columns))

    @property
    def file(self) -> str:
        return f"{self.table.removeprefix('ledger.')}.parquet"

    @property
    def proposed(self) -> str:
        return f"""
    select {self.names}
    from {self.mart} as proposed
    where not exists (select 1 from {self.table} as booked where booked.{self.key} = proposed.{self.key})"""

    @property
    def rewritten(self) -> str:
        return f"""
        select {self.key} from (select {self.names} from {self.table} except select {self.names} from {self.mart})"""


POSTINGS = Book(
    "ledger.postings",
    "settle.fct_settlement_ledger",
    {
        "posting_id": "varchar primary key",
        "entry_id": "varchar not null",
        "corrects_entry_id": "varchar",
        "party_id": "varchar not null",
        "entry_type": "varchar not null",
        "account": "varchar not null",
        "currency": "varchar not null",
        "description": "varchar",
        "batch_number": "integer not null",
        "debit_amount": "decimal(18, 6) not null",
        "credit_amount": "decimal(18, 6) not null",
        "origin_period_date": "date not null",
        "posting_period_date": "date not null",
        "known_at": "timestamp not null",
    },
    {
        "a booked posting never changes; correct it with a new entry": "select posting_id from ({rewritten})",
        "a posting has one positive side, debit or credit, and nothing on the other": """
        select posting_id
        from ({proposed})
        where not (least(debit_amount, credit_amount) = 0 and greatest(debit_amount, credit_amount) > 0)""",
        "the debits of an entry equal its credits in each currency": """
        select concat(
            entry_id, ' (debits ', sum(debit_amount), ', credits ', sum(credit_amount), ' ', currency, ')'
        )
        from ({proposed})
        group by entry_id, currency
        having sum(debit_amount) is distinct from sum(credit_amount)""",
    },
)
CHARGES = Book(
    "ledger.charges",
    "settle.fct_partner_charges",
    {
        "charge_posting_id": "varchar primary key",
        "charge_line_id": "varchar not null",
        "partner_id": "varchar not null",
        "partner_agreement_id": "varchar not null",
        "plan_id": "varchar",
        "posting_date": "date not null",
        "batch_number": "integer not null",
        "difference_quantity": "decimal(38, 6) not null",
        "difference_amount": "decimal(38, 12) not null",
        "charge_currency": "varchar not null",
        "period_start_date": "date not null",
        "known_at": "timestamp not null",
    },
    {
        "a booked charge never changes; correct it with a new one": "select charge_posting_id from ({rewritten})",
        "a booked charge says something": """
        select charge_posting_id from ({proposed}) where difference_quantity = 0 and difference_amount = 0""",
    },
)
BOOKS = (POSTINGS, CHARGES)
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
        return sum(_prepare(connection, book, export_dir / book.file) for book in BOOKS)


def _prepare(connection: duckdb.DuckDBPyConnection, book: Book, export_file: Path) -> int:
    definition = ", ".join(f"{name} {kind}" for name, kind in book.columns.items())
    connection.execute(f"create table if not exists {book.table} ({definition})")
    if not export_file.exists():
        return 0
    return connection.execute(
        f"""
        insert into {book.table} ({book.names})
        select {book.names} from read_parquet($1) as exported
        where not exists (select 1 from {book.table} as booked where booked.{book.key} = exported.{book.key})
        order by batch_number, {book.key}""",
        [str(export_file)],
    ).fetchone()[0]


def book(connection: duckdb.DuckDBPyConnection, books: tuple[Book, ...] = BOOKS) -> int:
    """Append what the marts of the books hold and what is not booked yet; how many bookings of the first those were.

    All in one transaction. Raises LedgerError, and books nothing, where a law of a book or a column's rule is
    broken.
    """
    with transaction(connection):
        booked = [_book(connection, book) for book in books]
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
            f"insert into {book.table} ({book.names}) {book.proposed} order by batch_number, {book.key}"
        ).fetchone()[0]
    except (duckdb.ConstraintException, duckdb.ConversionException) as broken:
        raise LedgerError(f"nothing was booked: {book.mart} cannot be booked: {broken}") from broken


def export(connection: duckdb.DuckDBPyConnection, export_dir: Path) -> None:
    """Write all bookings, a file per book, replacing an earlier export as a whole."""
    export_dir.mkdir(parents=True, exist_ok=True)
    for book in BOOKS:
        _export(connection, book, export_dir / book.file)


def _export(connection: duckdb.DuckDBPyConnection, book: Book, final: Path) -> None:
    (booked,) = connection.execute(f"select count(*) from {book.table}").fetchone()
    if final.exists():
        (exported,) = connection.execute("select count(*) from read_parquet(?)", [str(final)]).fetchone()
        if exported == booked:  # append-only: as many are the same ones
            return
    unfinished = final.with_name(f".{final.name}.new")
    connection.execute(
        f"copy (from {book.table} order by batch_number, {book.key}) to {quote_text(unfinished)} (format parquet)"
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
        for book in BOOKS:
            key = dg.AssetKey(book.table.split("."))
            if key in context.selected_asset_keys:
                (booked,) = connection.execute(f"select count(*) from {book.table}").fetchone()
                yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": booked, "restored": restored})
