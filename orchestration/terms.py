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
OPTIONAL = ("carrier_fees.csv", "destination_codes.csv", "numbers.csv")
"""Files that a folder may lack: nothing of their kind is agreed then."""


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
        if (folder / file.name).is_file():
            shutil.copy2(folder / file.name, prepared)
        else:
            prepared.write_text(",".join(_header(file)) + "\n", encoding="utf-8")
        prepared.replace(copy / file.name)
    os.environ["TOLLGATE_TERMS_COPY"] = str(copy.relative_to(settings.PROJECT_DIR))


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise TermsError(f"TOLLGATE_TERMS names {folder}, which is no folder")
    for pattern in sorted(DEMO_TERMS.glob("*.csv")):
        file = folder / pattern.name
        if not file.is_file() and pattern.name in OPTIONAL:
            continue
        if not file.is_file():
            raise TermsError(f"{file} is missing; a folder of terms holds the files of seeds/terms (docs/terms.md)")
        if missing := [column for column in _header(pattern) if column not in _header(file)]:
            raise TermsError(f"{file} lacks the columns {', '.join(missing)}; docs/terms.md describes them")


def _header(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        return next(csv.reader(opened), [])
