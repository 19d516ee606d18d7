"""The booked postings: `ledger.postings` in the warehouse file, append-only, never rebuilt by dbt.

Belongs here: creating, restoring, booking and exporting them. Does not belong here: what to book; the model
`settle.fct_settlement_ledger` holds the booked postings and those that the run proposes, in the same columns.

The warehouse file may be deleted and rebuilt from the landing files at any time; the bookings may not. So
each publication exports them, and a new warehouse starts from that export.
"""

import os
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.resources import POOL, Warehouse
from orchestration.sql import quote_text, transaction

MART = "settle.fct_settlement_ledger"
TABLE = "ledger.postings"

COLUMNS = {
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
}
NAMES = ", ".join(COLUMNS)

PROPOSED = f"""
    select {NAMES}
    from {MART} as proposed
    where not exists (select 1 from {TABLE} as booked where booked.posting_id = proposed.posting_id)"""

# Each law with the query that names what breaks it.
LAWS = {
    "a booked posting never changes; correct it with a new entry": f"""
        select posting_id from (select {NAMES} from {TABLE} except select {NAMES} from {MART})""",
    "a posting has one positive side, debit or credit, and nothing on the other": f"""
        select posting_id
        from ({PROPOSED})
        where not (least(debit_amount, credit_amount) = 0 and greatest(debit_amount, credit_amount) > 0)""",
    "the debits of an entry equal its credits in each currency": f"""
        select concat(
            entry_id, ' (debits ', sum(debit_amount), ', credits ', sum(credit_amount), ' ', currency, ')'
        )
        from ({PROPOSED})
        group by entry_id, currency
        having sum(debit_amount) is distinct from sum(credit_amount)""",
}
OFFENDERS_SHOWN = 5


class LedgerError(Exception):
    """The proposed postings break a law of the books; nothing was booked."""


def prepare(connection: duckdb.DuckDBPyConnection, export_dir: Path) -> int:
    """Create `ledger.postings` where it is missing and bring back exported postings that it lacks; how many
    those were.

    The models read the table, so this comes before them. A posting that was once exported was booked, so it
    is brought back into an older copy of the warehouse too.
    """
    export_file = _export_file(export_dir)
    with transaction(connection):
        connection.execute("create schema if not exists ledger")
        definition = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        connection.execute(f"create table if not exists {TABLE} ({definition})")
        if not export_file.exists():
            return 0
        return connection.execute(
            f"""
            insert into {TABLE} ({NAMES})
            select {NAMES} from read_parquet($1) as exported
            where not exists (select 1 from {TABLE} as booked where booked.posting_id = exported.posting_id)
            order by batch_number, posting_id""",
            [str(export_file)],
        ).fetchone()[0]


def book(connection: duckdb.DuckDBPyConnection) -> int:
    """Append the postings of `settle.fct_settlement_ledger` that are not booked yet; how many those were.

    All in one transaction. Raises LedgerError, and books nothing, where one of LAWS or a column's rule is
    broken.
    """
    if not connection.execute(
        "select 1 from duckdb_tables() where schema_name || '.' || table_name = ?", [MART]
    ).fetchone():
        raise LedgerError(f"{MART} does not exist; build the models before booking")
    with transaction(connection):
        for law, query in LAWS.items():
            _assert_law(connection, law, query)
        try:
            return connection.execute(
                f"insert into {TABLE} ({NAMES}) {PROPOSED} order by batch_number, posting_id"
            ).fetchone()[0]
        except (duckdb.ConstraintException, duckdb.ConversionException) as broken:
            raise LedgerError(f"nothing was booked: {MART} cannot be booked: {broken}") from broken


def export(connection: duckdb.DuckDBPyConnection, export_dir: Path) -> Path:
    """Write all booked postings to `postings.parquet`, replacing an earlier export as a whole; its path."""
    export_dir.mkdir(parents=True, exist_ok=True)
    final = _export_file(export_dir)
    (booked,) = connection.execute(f"select count(*) from {TABLE}").fetchone()
    if final.exists():
        (exported,) = connection.execute("select count(*) from read_parquet(?)", [str(final)]).fetchone()
        if exported == booked:  # append-only: as many are the same ones
            return final
    unfinished = final.with_name(".postings.parquet.new")
    connection.execute(
        f"copy (from {TABLE} order by batch_number, posting_id) to {quote_text(unfinished)} (format parquet)"
    )
    os.replace(unfinished, final)
    return final


def _export_file(export_dir: Path) -> Path:
    return export_dir / "postings.parquet"


def _assert_law(connection: duckdb.DuckDBPyConnection, law: str, query: str) -> None:
    offenders = [str(offender) for (offender,) in connection.execute(f"{query} order by 1").fetchall()]
    if offenders:
        shown = ", ".join(offenders[:OFFENDERS_SHOWN])
        more = f" and {len(offenders) - OFFENDERS_SHOWN:,} more" if len(offenders) > OFFENDERS_SHOWN else ""
        raise LedgerError(f"nothing was booked: {law}. Broken by {shown}{more} in {MART}")


# --- In Dagster's graph ---------------------------------------------------------------------------------------------


@dg.asset(key=["ledger", "postings"], group_name="ingest", kinds={"duckdb"}, pool=POOL)
def opened_books(warehouse: Warehouse) -> dg.MaterializeResult:
    """What is booked so far, for the models to read; brought back from the last export where the warehouse is new."""
    with warehouse.connect() as connection:
        restored = prepare(connection, warehouse.home.published / "ledger")
        (booked,) = connection.execute(f"select count(*) from {TABLE}").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": booked, "restored": restored})
