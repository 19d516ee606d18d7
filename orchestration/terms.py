"""The folder of terms that a run applies: checked for shape, and handed to dbt as a copy.

Belongs here: which files and columns a folder of terms must have. Does not belong here: what a row means and whether
it can be applied; the staging models say that, row by row.
"""

import csv
import hashlib
import os
import shutil
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
"""A folder without one of them is handed on with an empty one: nothing of its kind is agreed."""
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
"""A file without one of them is handed on with an empty one."""


class TermsError(Exception):
    """The folder cannot serve as terms; the message names the file, the column and what to do."""


def hand_to_dbt() -> None:
    """Let dbt load the terms that TOLLGATE_TERMS names. Raises TermsError where a file or a column is missing.

    dbt gets a copy inside the project, never the folder itself: for seeds at an absolute path it writes its own
    compiled SQL over the very files.
    """
    folder = settings.terms_dir()
    if folder == DEMO_TERMS:
        os.environ.pop("TOLLGATE_TERMS_COPY", None)
        return
    _check(folder)
    copy = settings.PROJECT_DIR / "target" / "terms" / hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    copy.mkdir(parents=True, exist_ok=True)
    for file in DEMO_TERMS.glob("*.csv"):
        # At one blow: another dbt may be reading the copy, and must not find half of it.
        prepared = copy / f".{file.name}.{os.getpid()}"
        _complete(folder / file.name, file, prepared)
        prepared.replace(copy / file.name)
    os.environ["TOLLGATE_TERMS_COPY"] = str(copy.relative_to(settings.PROJECT_DIR))


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise TermsError(f"TOLLGATE_TERMS names {folder}, which is no folder")
    for pattern in sorted(DEMO_TERMS.glob("*.csv")):
        file = folder / pattern.name
        if not file.is_file():
            if pattern.name in OPTIONAL_FILES:
                continue
            raise TermsError(f"{file} is missing; a folder of terms holds the files of seeds/terms (docs/terms.md)")
        optional = OPTIONAL_COLUMNS.get(pattern.name, set())
        if missing := [column for column in _header(pattern) if column not in {*_header(file), *optional}]:
            raise TermsError(f"{file} lacks the columns {', '.join(missing)}; docs/terms.md describes them")


def _complete(file: Path, pattern: Path, copy: Path) -> None:
    """Copies a file of terms; what may be left out of it is there, and empty."""
    if not file.is_file():
        copy.write_text(",".join(_header(pattern)) + "\n", encoding="utf-8")
        return
    missing = [column for column in _header(pattern) if column not in _header(file)]
    if not missing:
        shutil.copy2(file, copy)
        return
    with (
        file.open(newline="", encoding="utf-8-sig") as given,
        copy.open("w", newline="", encoding="utf-8") as completed,
    ):
        header, *rows = csv.reader(given)
        writer = csv.writer(completed, lineterminator="\n")
        writer.writerow([*header, *missing])
        writer.writerows([*row, *([""] * len(missing))] for row in rows)


def _header(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        return next(csv.reader(opened), [])
