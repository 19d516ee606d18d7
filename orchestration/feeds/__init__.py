"""Feeds: what lands where, declared in one small YAML file each (`<kind>__<feed>.yml` beside this module).

Belongs here: the shape of a declaration and its loader, which refuses whatever it does not know. Does not
belong here: reading a file (`readers.py`), the ledger and the raw tables (`orchestration/ingest.py`). A feed
of a known shape needs a YAML file and no Python:

    kind: fx_rates                  # folder of the landing, first half of the raw table's name
    feed: native                    # sub-folder, second half
    description: One row per day and currency pair.
    files: {"*.csv": csv}           # pattern of the file name -> csv, jsonl (both also as .gz) or parquet
    csv: {delimiter: ";"}           # only what differs from CsvDialect
    file_name_pattern: '(?P<carrier_id>.+)_.*'   # optional; its named groups become columns
    columns: {rate_date: filled}    # name in the file -> filled, present or optional
    dropped: [body]                 # optional; columns that are never kept, e.g. what customers wrote
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

DECLARATIONS_DIR = Path(__file__).parent
FORMATS = ("csv", "jsonl", "parquet")
COLUMN_RULES = ("filled", "present", "optional")


class FeedDeclarationError(ValueError):
    """A declaration says something unknown, contradictory, or too little. Names file, key and choices."""


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file is written.

    decimal_mark: not used to read, for values stay text; it tells staging and people.
    multiline: quoted values may hold line ends. Such a file is read into memory, so it is not for bulk usage.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    decimal_mark: str = "."
    multiline: bool = False


@dataclass(frozen=True)
class Column:
    """A declared column: `source_name` as the file spells it, `name` in the raw table (lower snake case).

    rule: `filled` must be in the file and never blank, `present` must be in the file, `optional` may lack.
    """

    source_name: str
    name: str
    rule: str


@dataclass(frozen=True)
class Feed:
    """One declared feed: a folder of the landing, the files in it, and their columns."""

    kind: str
    feed: str
    description: str
    files: tuple[tuple[str, str], ...]
    csv: CsvDialect
    columns: tuple[Column, ...]
    file_name_pattern: re.Pattern[str] | None
    dropped: tuple[str, ...]
    declaration: Path

    @property
    def name(self) -> str:
        """`<kind>__<feed>`: name of the raw table in schema `ingest` and of the Dagster asset."""
        return f"{self.kind}__{self.feed}"

    @property
    def folder(self) -> Path:
        """Where its files lie, relative to the landing."""
        return Path(self.kind) / self.feed

    @property
    def file_name_columns(self) -> tuple[str, ...]:
        """Columns that come from the name of the file, in the order of the pattern."""
        return tuple(self.file_name_pattern.groupindex) if self.file_name_pattern else ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """All columns of the raw table that carry the source's own values."""
        return (*(column.name for column in self.columns), *self.file_name_columns)

    @property
    def filled_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.rule == "filled")

    def format_of(self, file_name: str) -> str | None:
        """The declared format of a file, by its name alone; None for a file that the feed does not claim."""
        name = file_name.lower()
        for pattern, file_format in self.files:
            zipped = (f"{pattern}.gz",) if file_format in ("csv", "jsonl") else ()
            if any(fnmatchcase(name, known.lower()) for known in (pattern, *zipped)):
                return file_format
        return None


def declared(folder: Path = DECLARATIONS_DIR) -> tuple[Feed, ...]:
    """All feeds declared in `folder`, by name. Raises FeedDeclarationError for the first bad declaration."""
    return tuple(load_declaration(path) for path in sorted(folder.glob("*.yml")))


def load_declaration(path: Path) -> Feed:
    """One declaration. Raises FeedDeclarationError, which names the file and the key."""
    document = _parse(path)
    known = ("kind", "feed", "description", "files", "csv", "columns", "dropped", "file_name_pattern")
    _refuse_unknown(path, "key", document, known)
    for key in ("kind", "feed", "description", "files", "columns"):
        _require(path, bool(document.get(key)), f"`{key}` is missing or empty")
    for key in ("kind", "feed", "description"):
        _require(path, isinstance(document[key], str), f"`{key}` must be text")
    feed = Feed(
        kind=document["kind"],
        feed=document["feed"],
        description=document["description"].strip(),
        files=_files(path, document["files"]),
        csv=_dialect(path, document.get("csv", {})),
        columns=_columns(path, document["columns"]),
        file_name_pattern=_file_name_pattern(path, document.get("file_name_pattern")),
        dropped=tuple(document.get("dropped", ())),
        declaration=path,
    )
    _require(path, path.stem == feed.name, f"the file must be called {feed.name}.yml, as its kind and feed say")
    _require(path, re.fullmatch(r"[a-z0-9_]+", feed.name), "`kind` and `feed` are lower snake case")
    kept = [name for name in feed.dropped if name in [column.source_name for column in feed.columns]]
    _require(path, not kept, f"column {', '.join(kept)} is both declared and dropped")
    twice = _repeated(feed.column_names)
    _require(path, not twice, f"column {', '.join(twice)} is declared twice")
    return feed


def snake_case(name: str) -> str:
    """`DESTINATION` -> `destination`, `Price / msg` -> `price_msg`, `AccountSid` -> `account_sid`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^0-9A-Za-z]+", "_", words).strip("_").lower()


class _StrictLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; a declaration must not lose a column that way."""

    def construct_mapping(self, node, deep=False):
        twice = _repeated(self.construct_object(key, deep=True) for key, _ in node.value)
        if twice:
            raise yaml.YAMLError(f"`{twice[0]}` stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def _parse(path: Path) -> dict:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FeedDeclarationError(f"{path}: not readable as YAML: {error}") from error
    _require(path, isinstance(document, dict), "must hold `kind`, `feed`, `description`, `files` and `columns`")
    return document


def _files(path: Path, files: object) -> tuple[tuple[str, str], ...]:
    _require(path, isinstance(files, dict), '`files` maps a pattern to a format, such as `"*.csv": csv`')
    for pattern, file_format in files.items():
        _require(
            path,
            file_format in FORMATS,
            f"`files` gives {pattern!r} the format {file_format!r}; known: {', '.join(FORMATS)}",
        )
    return tuple((str(pattern), file_format) for pattern, file_format in files.items())


def _dialect(path: Path, dialect: object) -> CsvDialect:
    _require(path, isinstance(dialect, dict), "`csv` holds settings such as `delimiter`")
    types = {field.name: field.type for field in fields(CsvDialect)}
    _refuse_unknown(path, "key of `csv`", dialect, types)
    for key, value in dialect.items():
        _require(path, isinstance(value, types[key]), f"`csv.{key}` must be {types[key].__name__}, not {value!r}")
    csv = CsvDialect(**dialect)
    _require(
        path,
        len(csv.delimiter) == 1 and csv.delimiter not in " \n\r\x1f",
        "`csv.delimiter` is one character, no space",
    )
    _require(
        path,
        len(csv.quote) <= 1 and csv.quote != csv.delimiter,
        "`csv.quote` is one character, or empty for none",
    )
    _require(path, csv.quote or not csv.multiline, "`csv.multiline` needs a `csv.quote`")
    _require(path, csv.decimal_mark in (".", ","), '`csv.decimal_mark` is "." or ","')
    try:
        codecs.lookup(csv.encoding)
    except LookupError as error:
        raise FeedDeclarationError(
            f"{path}: `csv.encoding` {csv.encoding!r} is no encoding that Python knows"
        ) from error
    return csv


def _columns(path: Path, columns: object) -> tuple[Column, ...]:
    _require(path, isinstance(columns, dict), "`columns` maps a column to filled, present or optional")
    for name, rule in columns.items():
        _require(path, rule in COLUMN_RULES, f"column {name!r} is {rule!r}; known: {', '.join(COLUMN_RULES)}")
        _require(path, re.match(r"[a-z]", snake_case(str(name))), f"column {name!r} must begin with a letter")
        _require(path, '"' not in name, f"column {name!r} must not hold a double quote")
    return tuple(Column(name, snake_case(name), rule) for name, rule in columns.items())


def _file_name_pattern(path: Path, pattern: object) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(str(pattern))
    except re.error as error:
        raise FeedDeclarationError(f"{path}: `file_name_pattern` is no regular expression: {error}") from error
    _require(
        path,
        all(name == snake_case(name) for name in compiled.groupindex),
        "the groups of `file_name_pattern` are lower snake case",
    )
    return compiled


def _refuse_unknown(path: Path, what: str, given: Iterable, known: Iterable[str]) -> None:
    for key in given:
        _require(path, key in known, f"unknown {what}: {key!r}; known: {', '.join(known)}")


def _require(path: Path, holds: object, message: str) -> None:
    if not holds:
        raise FeedDeclarationError(f"{path}: {message}")


def _repeated(names: Iterable) -> list:
    seen = list(names)
    return sorted({name for name in seen if seen.count(name) > 1})
