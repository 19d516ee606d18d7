"""The tables of a pack as files: Parquet for programs, CSV for everything, one workbook for people.

A spreadsheet runs a cell that begins with =, +, - or @, and some of what a pack holds was written by others. So no text
is ever a formula here: in the workbook a text is a text by its type, and in CSV an apostrophe stands before what a
spreadsheet would run, also behind a mark that another country's spreadsheet takes for the end of a cell. Parquet holds
every text as it is.

Belongs here: writing rows. Does not belong here: which rows (`dispute.py`, `statement.py`).
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

from orchestration.sql import quote_name, quote_text

DIGITS_OF_A_NUMBER = 15
"""What a cell of a workbook keeps; a longer number is written as text, so that none is lost."""
ROWS_OF_A_SHEET = 1_000_000
ROWS_AT_A_TIME = 10_000
RUNS_IN_A_SPREADSHEET = re.compile(r"(^|[,;|\t\r\n])([\s\"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
STARTS_WITH_CONTROL = re.compile(r"^(?=[\t\r\n])")


@dataclass(frozen=True)
class Table:
    """One table of a pack, whose rows stand in the schema `pack`."""

    name: str
    meaning: str


def without_formulas(text: str) -> str:
    """Text for CSV that no spreadsheet runs."""
    return STARTS_WITH_CONTROL.sub("'", RUNS_IN_A_SPREADSHEET.sub(r"\1\2'", text))


def amount_text(amount: Decimal, decimals: int) -> str:
    """At least the decimals of the currency, and more only where they say something. Exactly as it is."""
    _, digits, exponent = amount.as_tuple()
    needed = max(decimals, -amount.normalize().as_tuple().exponent if any(digits) else 0)
    return f"{amount:.{needed}f}" if -exponent >= needed else f"{amount.quantize(Decimal(1).scaleb(-needed)):f}"


def write_tables(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[Table],
    folder: Path,
    minor_units: Mapping[str, int],
    at: datetime,
) -> dict[str, int]:
    """Writes the tables of schema `pack` below `folder`; how many rows each has. The same rows give the same bytes."""
    for name in ("parquet", "csv"):
        (folder / name).mkdir(parents=True)
    counts = {}
    # A row of the workbook is written when it comes, with its texts in it.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(folder / "tables.xlsx"), options) as workbook:
        workbook.set_properties({"created": at})
        sheets = _Sheets(workbook)
        sheets.add_contents(tables)
        for table in tables:
            relation, target = f"pack.{quote_name(table.name)}", folder / "parquet" / f"{table.name}.parquet"
            connection.execute(f"copy {relation} to {quote_text(target)} (format parquet, compression zstd)")
            (counts[table.name],) = connection.execute(f"select count(*) from {relation}").fetchone()
            found = connection.execute(f"from {relation}")
            columns = [column[0] for column in found.description]
            sheet = sheets.add(table, columns, counts[table.name])
            with (folder / "csv" / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, quoting=csv.QUOTE_ALL)
                writer.writerow(columns)
                while rows := found.fetchmany(ROWS_AT_A_TIME):
                    cells = [_cells(dict(zip(columns, row, strict=True)), minor_units) for row in rows]
                    writer.writerows([_csv_text(cell) for cell in row] for row in cells)
                    sheet.write(cells)
                if not counts[table.name]:
                    sheet.write([])
    return counts


@dataclass(frozen=True)
class _Amount:
    """An exact number and the decimals that it shows at least."""

    value: Decimal
    text: str


def _cells(row: Mapping[str, Any], minor_units: Mapping[str, int]) -> list[Any]:
    """Each value as it is written; a decimal as an amount, of a currency where it is money."""
    return [
        _Amount(value, amount_text(value, _decimals(name, row, minor_units))) if isinstance(value, Decimal) else value
        for name, value in row.items()
    ]


def _decimals(name: str, row: Mapping[str, Any], minor_units: Mapping[str, int]) -> int:
    """Of an amount those of its currency: that of its own name where there is one, else the row's first."""
    if not name.endswith("_amount"):
        return 0
    own = row.get(f"{name.removesuffix('_amount')}_currency")
    currencies = [own] if own else [value for column, value in row.items() if column.endswith("currency")]
    return minor_units.get(currencies[0], 2) if currencies else 0


def _csv_text(value: Any) -> str:
    if isinstance(value, _Amount):
        return value.text
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value.isoformat()}Z"
    return "" if value is None else without_formulas(str(value)) if isinstance(value, str) else str(value)


class _Sheets:
    """The sheets of a workbook; every cell has its type from us, never from what it looks like."""

    def __init__(self, workbook: xlsxwriter.Workbook) -> None:
        self.workbook = workbook
        self.bold = workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"})
        self.day = workbook.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        self.instant = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"})
        self.text = workbook.add_format({"num_format": "@"})
        self.numbers: dict[int, Any] = {}

    def add_contents(self, tables: Iterable[Table]) -> None:
        sheet = self.workbook.add_worksheet("contents")
        sheet.set_column(0, 0, 16)
        sheet.set_column(1, 1, 110)
        for row, (name, meaning) in enumerate([("sheet", "holds"), *((table.name, table.meaning) for table in tables)]):
            sheet.write_string(row, 0, name, None if row else self.bold)
            sheet.write_string(row, 1, meaning, None if row else self.bold)

    def add(self, table: Table, columns: list[str], row_count: int) -> "_Sheet":
        sheet = self.workbook.add_worksheet(table.name)
        sheet.freeze_panes(1, 0)
        if row_count > ROWS_OF_A_SHEET:
            sheet.write_string(0, 0, f"{row_count:,} rows are more than a sheet holds; csv/{table.name}.csv has them")
            return _Sheet(self, None, columns)
        return _Sheet(self, sheet, columns)

    def number(self, text: str) -> Any:
        decimals = len(text.partition(".")[2])
        if decimals not in self.numbers:
            shown = "0" + ("." + "0" * decimals if decimals else "")
            self.numbers[decimals] = self.workbook.add_format({"num_format": shown})
        return self.numbers[decimals]


class _Sheet:
    """One sheet, written from top to bottom; none where its rows are too many."""

    def __init__(self, sheets: _Sheets, sheet: Any, columns: list[str]) -> None:
        self.sheets, self.sheet, self.columns, self.row = sheets, sheet, columns, 0

    def write(self, rows: list[list[Any]]) -> None:
        if self.sheet is None:
            return
        if self.row == 0:
            self._write_head(rows)
        for row in rows:
            self.row += 1
            for column, value in enumerate(row):
                self._write_cell(column, value)

    def _write_head(self, rows: list[list[Any]]) -> None:
        """Before the first rows, and as wide as they are."""
        for number, column in enumerate(self.columns):
            shown = max([len(column) // 2, *(len(_csv_text(row[number])) for row in rows[:200])])
            self.sheet.set_column(number, number, min(max(shown + 2, 9), 60))
        for number, column in enumerate(self.columns):
            self.sheet.write_string(0, number, column, self.sheets.bold)

    def _write_cell(self, column: int, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            self.sheet.write_boolean(self.row, column, value)
        elif isinstance(value, _Amount | int):
            text = value.text if isinstance(value, _Amount) else str(value)
            if len(text.replace(".", "").lstrip("-0")) > DIGITS_OF_A_NUMBER:
                self.sheet.write_string(self.row, column, text, self.sheets.text)
            else:
                # The decimal itself: as a float it would be another number in the last digit.
                self.sheet.write_number(self.row, column, Decimal(text), self.sheets.number(text))
        elif isinstance(value, date):
            is_instant = isinstance(value, datetime)
            style = self.sheets.instant if is_instant else self.sheets.day
            self.sheet.write_datetime(self.row, column, value, style)
        else:
            self.sheet.write_string(self.row, column, str(value), self.sheets.text)
