"""The journal for the general ledger: booked postings, each once, under the numbers of the company's own accounts.

Belongs here: which postings, and their account numbers. Does not belong here: what is booked (`orchestration/ledger`).

A posting never changes, so a general ledger takes each once: an export holds the seals after the last one that it was
given, and says where the next one goes on.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration.exports import NoExport, write_csv
from orchestration.packs import minor_units
from orchestration.sql import fetch_rows

COLUMNS = [
    "seal_number", "posting_id", "entry_id", "corrects_entry_id", "posting_period", "origin_period", "known_at",
    "account_number", "account_name", "account", "party_id", "entry_type", "description", "currency", "debit_amount",
    "credit_amount",
]  # fmt: skip
# Without any row of the company's own the names of the ledger are its numbers.
POSTINGS = """
    select postings.*, strftime(posting_period_date, '%Y-%m') as posting_period,
        strftime(origin_period_date, '%Y-%m') as origin_period,
        case when (select count(*) from chart) = 0 then postings.account else chart.account_number end
            as account_number,
        chart.account_name
    from tollgate.ledger.postings as postings
    left join chart using (account)
    where seal_number > $after and ($until is null or seal_number <= $until)
    order by seal_number, entry_id, credit_amount > 0
"""
CHART = """
    create or replace temp view chart as
    select account, account_number, account_name from tollgate.stage.stg_terms__chart_of_accounts
    where refusal_reason is null
"""


@dataclass(frozen=True)
class Journal:
    """What was written: the file, its postings, the seals that it holds, debits (which equal credits) by currency."""

    file: Path
    postings: int
    first_seal: int | None
    last_seal: int
    debits: dict[str, Decimal]


def write(connection: duckdb.DuckDBPyConnection, folder: Path, after_seal: int = 0) -> Journal:
    """The postings of all seals after this one. Raises NoExport where an account has no number in the company's chart,
    or where there is no such seal."""
    connection.execute(CHART)
    (last,) = connection.execute("select coalesce(max(seal_number), 0) from tollgate.ledger.seals").fetchone()
    if after_seal > last:
        raise NoExport(f"there is no seal {after_seal}; the last one is {last}")
    rows = fetch_rows(connection, POSTINGS, after=after_seal, until=last)
    if unnumbered := sorted({row["account"] for row in rows if row["account_number"] is None}):
        raise NoExport(
            f"chart_of_accounts.csv has no number for {', '.join(unnumbered)}: add a row for each, then `tollgate run`"
        )
    file = folder / f"journal-{after_seal + 1}-{last}.csv"
    write_csv(file, COLUMNS, rows, minor_units(connection))
    debits: dict[str, Decimal] = {}
    for row in rows:
        debits[row["currency"]] = debits.get(row["currency"], Decimal(0)) + row["debit_amount"]
    return Journal(file, len(rows), rows[0]["seal_number"] if rows else None, last, debits)
