"""The folder of terms that a run applies, checked for its shape.

Belongs here: which files and columns a folder of terms must have. Does not belong here: reading it (`macros/
seed_rows.sql`), what a row means and whether it can be applied; the staging models say that, row by row.
"""

import csv
import os
from pathlib import Path

from orchestration import settings

DEMO_TERMS = settings.PROJECT_DIR / "seeds" / "terms"
OPTIONAL_FILES = {
    "bank_accounts.csv",
    "carrier_fees.csv",
    "chart_of_accounts.csv",
    "closing_limits.csv",
    "destination_codes.csv",
    "invoice_parties.csv",
    "netting_agreements.csv",
    "numbers.csv",
    "participation_rules.csv",
    "plan_options.csv",
    "regions.csv",
    "revenue_share_tiers.csv",
}
"""A folder may lack one of them: nothing of its kind is agreed."""
OPTIONAL_COLUMNS = {
    "accounts.csv": {"product"},
    "agreements.csv": {"total_rounding_decimals"},
    "carrier_fees.csv": {"committed_quantity", "commitment_months"},
    "plans.csv": {"region", "product", "currency"},
    "plan_tiers.csv": {"block_quantity", "rate_ratio"},
    "revenue_shares.csv": {
        *("participant_role", "share_kind", "share_basis", "step", "priority", "is_exclusive"),
        *("unit_amount", "priced_per_quantity", "floor_amount", "cap_amount", "guarantee_amount"),
    },
    "tolerances.csv": {
        *("raise_after_months", "withhold_within_days", "answer_within_days", "deemed_accepted_days"),
        *("look_back_days", "interest_ratio_per_year"),
    },
}
"""A file may lack one of them: it is empty in each row."""


class TermsError(Exception):
    """The folder cannot serve as terms; the message names the file, the column and what to do."""


def check() -> None:
    """Can the folder that TOLLGATE_TERMS names serve? Raises TermsError where a file or a column is missing, or a row
    is longer or shorter than its header.
    """
    folder = settings.terms_dir()
    if folder == DEMO_TERMS:
        return
    if not folder.is_dir():
        raise TermsError(f"TOLLGATE_TERMS names {folder}, which is no folder")
    # dbt works in the project's folder, from where a relative path leads elsewhere.
    os.environ["TOLLGATE_TERMS"] = str(folder)
    for pattern in sorted(DEMO_TERMS.glob("*.csv")):
        file = folder / pattern.name
        if file.is_file():
            _check_shape(file, _rows(pattern)[0])
        elif pattern.name not in OPTIONAL_FILES:
            raise TermsError(f"{file} is missing; a folder of terms holds the files of seeds/terms (docs/terms.md)")


def _check_shape(file: Path, columns: list[str]) -> None:
    header, *rows = _rows(file) or [[]]
    optional = OPTIONAL_COLUMNS.get(file.name, set())
    if missing := [column for column in columns if column not in {*header, *optional}]:
        raise TermsError(f"{file} lacks the columns {', '.join(missing)}; docs/terms.md describes them")
    for number, row in enumerate(rows, 2):
        if row and len(row) != len(header):
            raise TermsError(
                f"{file}: row {number} has {len(row)} cells and the header {len(header)}; a cell with a comma in it is "
                "written in quotes"
            )


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        return list(csv.reader(opened))
