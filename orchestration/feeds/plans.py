"""Plans: how one body becomes rows, said in SQL, whatever its format.

Belongs here: what a way of reading consists of (`AtOnce`, `Plan`), the body at hand (`File`), and how columns of a
file become columns of the raw table. Does not belong here: what only texts have (`lines.py`), or only one format
(`csv_reader.py` and its neighbours).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.feeds import ANY, CsvDialect, Feed, snake_case
from orchestration.feeds.surveying import Survey, encoding_of
from orchestration.feeds.unpacking import Body, UnreadableFile, is_zipped
from orchestration.sql import quote_name, quote_text

NUMBERED_AS_READ = "null::bigint"


@dataclass(frozen=True)
class AtOnce:
    """One statement that reads a body; grain of `rows`: one row per record, in any order.

    may_lack_values: a required value may be blank.
    """

    rows: str
    record_count: int
    new_columns: tuple[str, ...]
    may_lack_values: bool = True


@dataclass(frozen=True)
class Plan:
    """How one body becomes rows. All SQL; grain of each: one row per record.

    rows: the readable records: `_record_number` (null: ordinal of the row), raw columns, `_extra_columns`.
    records: every record: `_record_number`, `line_number`, `raw_text`.
    refused: the records that cannot be read: `_record_number`, `column_name`, `reason_code`, `message`.
    new_columns: columns that the feed does not know; None: to be looked for in `_extra_columns`.
    totals: control totals of the file's own lines: name -> (its text, `records` or the column that adds up to it).
    """

    record_count: int
    readable_count: int
    rows: str
    records: str
    refused: str
    new_columns: tuple[str, ...] | None
    totals: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """One body at hand, and what reading it needs: `found` are the columns that names and lines around give."""

    connection: duckdb.DuckDBPyConnection
    feed: Feed
    body: Body
    seen: Survey | None
    scratch: Path
    found: dict[str, str | None]

    @property
    def label(self) -> str:
        return self.body.label

    @property
    def dialect(self) -> CsvDialect:
        """As declared; a sheet was written as CSV by ourselves, in one way."""
        return CsvDialect(header=self.feed.csv.header, multiline=True) if self.body.part.sheet else self.feed.csv

    @property
    def encoding(self) -> str:
        return "utf-8" if self.body.part.sheet else encoding_of(self.feed, self.body.format)

    def one(self, sql: str) -> tuple:
        return self.connection.execute(sql).fetchone()


def linked(file: File) -> Path:
    """A link to the file under a name without the signs (`*`, `?`, `[`) that the engine would expand."""
    link = file.scratch / ("original.gz" if is_zipped(file.body.path) else "original")
    if not link.is_symlink():
        link.symlink_to(file.body.path.resolve())
    return link


def declared_positions(file: File, labels: tuple[str, ...]) -> dict[str, int]:
    """Raw column -> position in the file. Order, capitals and spaces of a header do not matter."""
    names = [_label_key(label) for label in labels]
    wanted = {column.name: _label_key(column.source_name) for column in file.feed.columns}
    if not file.dialect.header and file.body.format == "csv":
        return {column.name: position for position, column in enumerate(file.feed.columns)}
    positions = {name: names.index(label) for name, label in wanted.items() if label in names}
    found = f"The file has: {', '.join(labels)}."
    twice = [wanted[name] for name in positions if names.count(wanted[name]) > 1]
    if twice:
        raise UnreadableFile(f"{file.label}: column twice in the header: {', '.join(twice)}. {found}")
    missing = [
        column.source_name for column in file.feed.columns if column.rule != "optional" and column.name not in positions
    ]
    if missing:
        # One label for many columns is the mark of another delimiter.
        hint = f"Is {file.dialect.delimiter!r} its delimiter? " if len(labels) == 1 else ""
        raise UnreadableFile(
            f"{file.label}: required column missing: {', '.join(missing)}. {found} "
            f"{hint}Add it to the file, or correct {file.feed.declaration.name}."
        )
    return positions


def _label_key(label: str) -> str:
    """A label as it is compared: capitals and spaces do not matter, letters of any script and `$` or `€` do."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", label)
    return re.sub(r"(?:[^\w$€£¥%#]|_)+", "_", words).strip("_").casefold()


def undeclared(file: File, labels: tuple[str, ...], positions: dict[str, int]) -> dict[int, str]:
    """Columns of the file that the feed neither declares nor drops, by position."""
    dropped = {snake_case(name) for name in file.feed.dropped}
    return {
        i: label for i, label in enumerate(labels) if i not in positions.values() and snake_case(label) not in dropped
    }


def new_columns(feed: Feed, labels: Iterable[str]) -> tuple[str, ...]:
    """Columns that nobody told us of: not declared, not dropped, not known as extra."""
    if feed.extra == ANY:
        return ()
    known = {snake_case(name) for name in feed.extra}
    return tuple(label for label in labels if snake_case(label) not in known)


def raw_columns(file: File, number: str, values: dict[str, str], extra: str) -> str:
    """SQL: the select list of a plan's rows. A column that the file lacks is null."""
    known = values | {name: quote_text(value) for name, value in file.found.items() if value is not None}
    raw = [f"{known.get(name, 'null::varchar')} as {quote_name(name)}" for name in file.feed.column_names]
    return ", ".join([f"{number} as _record_number", *raw, f"{extra} as _extra_columns"])


def json_object(values: dict[str, str]) -> str:
    """SQL: a JSON object of label -> value as text; null where there is nothing to hold."""
    if not values:
        return "null::varchar"
    members = ", ".join(f"{quote_text(label)}, {value}" for label, value in values.items())
    return f"json_object({members})::varchar"
