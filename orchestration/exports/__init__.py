"""What leaves for finance systems: the journal for the general ledger, proposals of payments for the bank, invoices.

Belongs here: the folder that they are written to, and what they have in common. Does not belong here: what each holds
(`journal.py`, `payments.py`, `invoices.py`), packs for other parties (`packs/`).
"""

import csv
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.packs.tables import amount_text, without_formulas

US = "us"
"""The party of the terms (bank_accounts.csv, invoice_parties.csv) that is the company itself."""


class NoExport(Exception):
    """Nothing was written. The message says why, and what to do."""


def write_csv(file: Path, columns: list[str], rows: Iterable[dict[str, Any]], decimals: dict[str, int]) -> None:
    """Rows as CSV: amounts with the decimals of the row's `currency`, texts that no spreadsheet runs."""

    def text(row: dict[str, Any], name: str) -> str:
        value = row[name]
        if isinstance(value, Decimal):
            return amount_text(value, decimals.get(row["currency"], 2))
        return without_formulas(value) if isinstance(value, str) else "" if value is None else str(value)

    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.new")
    with unfinished.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text(row, name) for name in columns] for row in rows)
    unfinished.replace(file)
