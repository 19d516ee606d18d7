"""Workbooks: the sheets of an xlsx or xls file as comma-separated text.

Belongs here: the one place that opens a workbook, and the process in which it does so. A damaged workbook can make the
library panic, and one with a cell at its far end asks for more memory than there is; both would end the run, so a
child process reads, below a ceiling, and only its text comes back. Does not belong here: which sheets are wanted.
"""

import csv
import datetime
import json
import resource
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from python_calamine import CalamineWorkbook

SIGNIFICANT_DIGITS = 15
"""Of a number in a workbook. It is stored as a float, and a workbook keeps and shows no more digits than these."""

CEILING_BYTES = 4 << 30
PROJECT_DIR = Path(__file__).resolve().parents[2]


class UnreadableWorkbook(Exception):
    """The workbook, or the sheet, cannot be read. The message says why, as far as the library knows."""


def sheet_names(workbook: Path) -> list[str]:
    """The names of all sheets, in their order. Raises UnreadableWorkbook."""
    return json.loads(_in_a_child("names", str(workbook)))


def write_sheet(workbook: Path, sheet: str, decimal_mark: str, target: Path) -> None:
    """Writes a sheet as CSV, one record per row, so that line numbers are those of the sheet. Raises
    UnreadableWorkbook."""
    _in_a_child("sheet", str(workbook), sheet, decimal_mark, str(target))


def _in_a_child(*arguments: str) -> str:
    command = [sys.executable, "-m", "orchestration.feeds.workbooks", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_DIR)
    if done.returncode == 0:
        return done.stdout
    words = [line for line in done.stderr.splitlines() if line.strip()]
    raise UnreadableWorkbook(
        words[-1] if done.returncode > 0 and words else "it breaks the reader, or asks for too much"
    )


def _write(workbook: str, sheet: str, decimal_mark: str, target: str) -> None:
    rows = CalamineWorkbook.from_path(workbook).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    width = max((len(row) for row in rows), default=0)
    with Path(target).open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            cells = [_cell(value, decimal_mark) for value in row]
            # A blank row is a blank line, not a row of empty values.
            writer.writerow(cells + [""] * (width - len(cells)) if any(cells) else [])


def _cell(value: Any, decimal_mark: str) -> str:
    """A cell as the text that a person would have typed: a prefix stored as the number 44.0 is `44`.

    A workbook's numbers have no decimal mark; they get that of the feed, as its cells of text have it.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.0f}" if value.is_integer() else f"{Decimal(f'{value:.{SIGNIFICANT_DIGITS}g}'):f}"
        return text.replace(".", decimal_mark)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value).replace("\r\n", "\n").replace("\r", "\n")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (CEILING_BYTES, CEILING_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    task, *given = sys.argv[1:]
    if task == "names":
        print(json.dumps(CalamineWorkbook.from_path(given[0]).sheet_names))
    else:
        _write(*given)
