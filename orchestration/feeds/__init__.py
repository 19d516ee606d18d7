"""Feeds: what lands where, declared in one small YAML file each (`<kind>__<feed>.yml` beside this module).

Belongs here: the shape of a declaration and its loader, which refuses whatever it does not know. Does not
belong here: reading a file (`readers.py`), the ledger and the raw tables (`orchestration/file_ledger.py`). A feed
of a known shape needs a YAML file and no Python. Every key; only the first five are required:

    kind: usage                     # folder of the landing, first half of the raw table's name
    feed: acme_calls                # second half of the name, and the sub-folder unless `folder` names one
    description: One row per call.
    files: {"*.csv": csv}           # pattern of the file name -> a format (FORMATS); text also as .gz and in a .zip
    columns:                        # name in the file -> filled (never blank), present (in the file), optional
      Call ID as call_id: filled    # `as` gives the column of the raw table another name than its snake case
    extra: [Agent]                  # known columns that nobody reads: kept as JSON in _extra_columns; `any`: all
    dropped: [body]                 # columns that are never kept, not even in quarantine: what customers wrote
    folder: acme                    # several feeds may read one folder, as the sheets of one workbook need
    file_name_pattern: '(?P<carrier_id>.+)_.*'   # its named groups become columns
    expected_every_hours: 24        # how often a file should come; without it nobody is reminded

    csv: {delimiter: ";"}           # only what differs from CsvDialect
    json: {records: value}          # keys that lead to the records, joined by dots; empty: the whole document
    xml: {records: [InvoiceLine]}   # paths of the elements that are records; names without namespaces
    excel: {sheets: "Rates .*"}     # sheets to read; each is a file of its own; named groups become columns
    fixed_width: {call_id: [1, 12]} # column -> first character (from 1) and width
    document_columns: {IssueDate: filled}        # of JSON and XML: values beside the records, given to each

    preamble: ['Invoice;(?P<invoice_number>.*)'] # one pattern for each line before the header
    trailer: ['END;(?P<calls>[0-9]+)']           # one pattern for each of the last lines
    control_totals: {calls: records}             # a named group -> `records`, or the column that adds up to it

    decimal_mark: ","               # of every number; values stay text, staging reads them by it
    time_zone: Europe/Berlin        # of every time that has no offset of its own
    phone_numbers: {calling_code: "49", national_prefix: "0", international_prefix: "00"}
    money: {amount: Price, currency: Unit, sign: negative}   # negative: what you pay is written below zero
"""

import codecs
import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path

import yaml

DECLARATIONS_DIR = Path(__file__).parent
FORMATS = ("csv", "jsonl", "json", "parquet", "excel", "fixed_width", "xml")
TEXT_FORMATS = ("csv", "jsonl", "json", "fixed_width", "xml")
COLUMN_RULES = ("filled", "present", "optional")
ANY = "any"
RECORDS = "records"


class FeedDeclarationError(ValueError):
    """A declaration says something unknown, contradictory, or too little. Names file, key and choices."""


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file, or the lines of a fixed-width one, are written.

    multiline: quoted values may hold line ends. Such a file is read into memory, so it is not for bulk usage.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool = True
    multiline: bool = False


@dataclass(frozen=True)
class PhoneNumbers:
    """How numbers are written that are not international with a `+` or bare: digits before, digits to put there."""

    calling_code: str | None = None
    national_prefix: str | None = None
    international_prefix: str | None = "00"


@dataclass(frozen=True)
class Money:
    """Columns, by their raw names, that say what a record is worth; `sign` 1 where what you pay is positive."""

    amount: str | None = None
    currency: str | None = None
    sign: int = 1


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
    """One declared feed: a folder of the landing, the files in it, their columns, and how to understand values."""

    kind: str
    feed: str
    description: str
    files: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    declaration: Path
    extra: tuple[str, ...] | str = ()
    dropped: tuple[str, ...] = ()
    folder_name: str = ""
    file_name_pattern: re.Pattern[str] | None = None
    expected_every_hours: int | None = None
    csv: CsvDialect = CsvDialect()
    json_records: str = ""
    xml_records: tuple[str, ...] = ()
    sheets: re.Pattern[str] | None = None
    fixed_width: tuple[tuple[str, int, int], ...] = ()
    document_columns: tuple[Column, ...] = ()
    preamble: tuple[re.Pattern[str], ...] = ()
    trailer: tuple[re.Pattern[str], ...] = ()
    control_totals: tuple[tuple[str, str], ...] = ()
    decimal_mark: str = "."
    time_zone: str | None = None
    phone_numbers: PhoneNumbers = PhoneNumbers()
    money: Money = Money()

    @property
    def name(self) -> str:
        """`<kind>__<feed>`: name of the raw table in schema `ingest` and of the Dagster asset."""
        return f"{self.kind}__{self.feed}"

    @property
    def folder(self) -> Path:
        """Where its files lie, relative to the landing."""
        return Path(self.kind) / self.folder_name

    @property
    def found_columns(self) -> tuple[str, ...]:
        """Columns that the names of file and sheet and the lines around the records give, in this order."""
        patterns = [self.file_name_pattern, self.sheets, *self.preamble, *self.trailer]
        groups = [group for pattern in patterns if pattern for group in pattern.groupindex]
        return tuple(dict.fromkeys(group for group in groups if group not in dict(self.control_totals)))

    @property
    def column_names(self) -> tuple[str, ...]:
        """All columns of the raw table that carry the source's own values."""
        declared = (*self.columns, *self.document_columns)
        return (*(column.name for column in declared), *self.found_columns)

    @property
    def filled_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in (*self.columns, *self.document_columns) if column.rule == "filled")

    def format_of(self, file_name: str) -> str | None:
        """The declared format of a file, by its name alone; None for a file that the feed does not claim."""
        name = file_name.lower()
        for pattern, file_format in self.files:
            zipped = (f"{pattern}.gz",) if file_format in TEXT_FORMATS else ()
            if any(fnmatchcase(name, known.lower()) for known in (pattern, *zipped)):
                return file_format
        return None

    def claims(self, file_name: str) -> bool:
        """A file of a declared format, or a zip that may hold such files."""
        return file_name.lower().endswith(".zip") or self.format_of(file_name) is not None


def declared(folder: Path = DECLARATIONS_DIR) -> tuple[Feed, ...]:
    """All feeds declared in `folder`, by name. Raises FeedDeclarationError for the first bad declaration."""
    return tuple(_load_once(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.yml")))


@cache
def _load_once(path: Path, _changed_at: int) -> Feed:
    return load_declaration(path)


REQUIRED_KEYS = ("kind", "feed", "description", "files", "columns")
OPTIONAL_KEYS = (
    *("extra", "dropped", "folder", "file_name_pattern", "expected_every_hours"),
    *("csv", "json", "xml", "excel", "fixed_width", "document_columns"),
    *("preamble", "trailer", "control_totals", "decimal_mark", "time_zone", "phone_numbers", "money"),
)


def load_declaration(path: Path) -> Feed:
    """One declaration. Raises FeedDeclarationError, which names the file and the key."""
    document = _parse(path)
    _refuse_unknown(path, "key", document, (*REQUIRED_KEYS, *OPTIONAL_KEYS))
    for key in REQUIRED_KEYS:
        _require(path, bool(document.get(key)), f"`{key}` is missing or empty")
    for key in ("kind", "feed", "description"):
        _require(path, isinstance(document[key], str), f"`{key}` must be text")
    columns = _columns(path, "columns", document["columns"])
    feed = Feed(
        kind=document["kind"],
        feed=document["feed"],
        description=document["description"].strip(),
        files=_files(path, document["files"]),
        columns=columns,
        declaration=path,
        extra=_names(path, "extra", document.get("extra", ())),
        dropped=_names(path, "dropped", document.get("dropped", ())),
        folder_name=str(document.get("folder", document["feed"])),
        file_name_pattern=_pattern(path, "file_name_pattern", document.get("file_name_pattern")),
        expected_every_hours=document.get("expected_every_hours"),
        csv=_dialect(path, document.get("csv", {})),
        json_records=str(_only_key(path, document, "json", "records") or ""),
        xml_records=_texts(path, "xml.records", _only_key(path, document, "xml", "records")),
        sheets=_pattern(path, "excel.sheets", _only_key(path, document, "excel", "sheets")),
        fixed_width=_positions(path, document.get("fixed_width", {}), columns),
        document_columns=_columns(path, "document_columns", document.get("document_columns", {})),
        preamble=_patterns(path, "preamble", document.get("preamble")),
        trailer=_patterns(path, "trailer", document.get("trailer")),
        control_totals=_control_totals(path, document.get("control_totals", {})),
        decimal_mark=document.get("decimal_mark", "."),
        time_zone=_time_zone(path, document.get("time_zone")),
        phone_numbers=_phone_numbers(path, document.get("phone_numbers", {})),
        money=_money(path, document.get("money", {})),
    )
    _check_whole(path, feed)
    return feed


def _check_whole(path: Path, feed: Feed) -> None:
    """What one key says must fit what the others say."""
    _require(path, path.stem == feed.name, f"the file must be called {feed.name}.yml, as its kind and feed say")
    _require(path, re.fullmatch(r"[a-z0-9_]+", feed.name), "`kind` and `feed` are lower snake case")
    _require(path, feed.decimal_mark in (".", ","), '`decimal_mark` is "." or ","')
    hours = feed.expected_every_hours
    _require(path, hours is None or (type(hours) is int and hours > 0), "`expected_every_hours` is a whole number")
    known = [column.source_name for column in feed.columns]
    for key, names in (("dropped", feed.dropped), ("extra", feed.extra if feed.extra != ANY else ())):
        kept = [name for name in names if name in known]
        _require(path, not kept, f"column {', '.join(kept)} is both declared and {key}")
    twice = _repeated(feed.column_names)
    _require(path, not twice, f"column {', '.join(twice)} is declared twice")
    formats = {file_format for _, file_format in feed.files}
    _require(path, "xml" not in formats or feed.xml_records, "`xml.records` says which elements are records")
    _require(path, "excel" not in formats or feed.sheets, "`excel.sheets` says which sheets to read")
    _require(path, "fixed_width" not in formats or feed.fixed_width, "`fixed_width` says where the columns stand")
    around = [group for pattern in (*feed.preamble, *feed.trailer) for group in pattern.groupindex]
    for group, adds_up in feed.control_totals:
        _require(path, group in around, f"`control_totals`: no line of `preamble` or `trailer` names {group!r}")
        _require(
            path,
            adds_up == RECORDS or adds_up in [column.name for column in feed.columns],
            f"`control_totals`: {group!r} is the number of `records` or the sum of a column, not {adds_up!r}",
        )
    for name in (feed.money.amount, feed.money.currency):
        _require(path, name is None or name in feed.column_names, f"`money` names {name!r}, which is no column")


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
    try:
        codecs.lookup(csv.encoding)
    except LookupError as error:
        raise FeedDeclarationError(
            f"{path}: `csv.encoding` {csv.encoding!r} is no encoding that Python knows"
        ) from error
    return csv


def _columns(path: Path, key: str, columns: object) -> tuple[Column, ...]:
    _require(path, isinstance(columns, dict), f"`{key}` maps a column to filled, present or optional")
    found = []
    for label, rule in columns.items():
        _require(path, rule in COLUMN_RULES, f"column {label!r} is {rule!r}; known: {', '.join(COLUMN_RULES)}")
        source_name, _, alias = str(label).partition(" as ")
        name = alias.strip() or snake_case(source_name)
        _require(path, re.fullmatch(r"[a-z][a-z0-9_]*", name), f"column {label!r} must begin with a letter")
        _require(path, '"' not in source_name, f"column {label!r} must not hold a double quote")
        found.append(Column(source_name, name, rule))
    return tuple(found)


def _names(path: Path, key: str, names: object) -> tuple[str, ...] | str:
    if key == "extra" and names == ANY:
        return ANY
    _require(path, isinstance(names, (list, tuple)), f"`{key}` is a list of columns")
    return tuple(map(str, names))


def _texts(path: Path, key: str, texts: object) -> tuple[str, ...]:
    _require(path, texts is None or isinstance(texts, list), f"`{key}` is a list")
    return tuple(map(str, texts or ()))


def _only_key(path: Path, document: dict, section: str, key: str) -> object:
    """The one key that a section has; None where the declaration lacks the section."""
    given = document.get(section, {})
    _require(path, isinstance(given, dict), f"`{section}` holds `{key}`")
    _refuse_unknown(path, f"key of `{section}`", given, (key,))
    return given.get(key)


def _pattern(path: Path, key: str, pattern: object) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(str(pattern))
    except re.error as error:
        raise FeedDeclarationError(f"{path}: `{key}` is no regular expression: {error}") from error
    _require(
        path,
        all(name == snake_case(name) for name in compiled.groupindex),
        f"the groups of `{key}` are lower snake case",
    )
    return compiled


def _patterns(path: Path, key: str, patterns: object) -> tuple[re.Pattern[str], ...]:
    compiled = [_pattern(path, key, pattern) for pattern in _texts(path, key, patterns)]
    return tuple(pattern for pattern in compiled if pattern)


def _positions(path: Path, positions: object, columns: tuple[Column, ...]) -> tuple[tuple[str, int, int], ...]:
    _require(path, isinstance(positions, dict), "`fixed_width` maps a column to its first character and its width")
    if not positions:
        return ()
    for name, place in positions.items():
        whole = isinstance(place, list) and len(place) == 2 and all(type(part) is int and part > 0 for part in place)
        _require(path, whole, f"`fixed_width.{name}` is [first character, width], both from 1, not {place!r}")
    found = sorted(((str(name), *place) for name, place in positions.items()), key=lambda column: column[1])
    for (left, first, width), (right, start, _) in pairwise(found):
        _require(path, first + width <= start, f"`fixed_width`: {left} and {right} overlap")
    lacking = [column.name for column in columns if column.name not in positions and column.rule != "optional"]
    _require(path, not lacking, f"`fixed_width` does not say where {', '.join(lacking)} stands")
    unknown = [name for name, *_ in found if name not in [column.name for column in columns]]
    _require(path, not unknown, f"`fixed_width` places {', '.join(unknown)}, which `columns` does not declare")
    return tuple(found)


def _control_totals(path: Path, totals: object) -> tuple[tuple[str, str], ...]:
    _require(path, isinstance(totals, dict), "`control_totals` maps a named group to `records` or to a column")
    return tuple((str(group), str(adds_up)) for group, adds_up in totals.items())


def _time_zone(path: Path, name: object) -> str | None:
    known = name is None or name in zoneinfo.available_timezones()
    _require(path, known, f"`time_zone` {name!r} is no IANA zone, such as UTC or Europe/Rome")
    return name


def _phone_numbers(path: Path, given: object) -> PhoneNumbers:
    keys = [field.name for field in fields(PhoneNumbers)]
    _require(path, isinstance(given, dict), f"`phone_numbers` holds {', '.join(keys)}")
    _refuse_unknown(path, "key of `phone_numbers`", given, keys)
    for key, digits in given.items():
        _require(
            path,
            isinstance(digits, str) and digits.isdigit(),
            f"`phone_numbers.{key}` is digits in quotes, not {digits!r}",
        )
    numbers = PhoneNumbers(**given)
    _require(
        path,
        (numbers.calling_code is None) == (numbers.national_prefix is None),
        "`phone_numbers`: `national_prefix` and `calling_code` go together",
    )
    return numbers


def _money(path: Path, given: object) -> Money:
    _require(path, isinstance(given, dict), "`money` holds amount, currency and sign")
    _refuse_unknown(path, "key of `money`", given, ("amount", "currency", "sign"))
    sign = given.get("sign", "positive")
    _require(path, sign in ("positive", "negative"), f"`money.sign` is positive or negative, not {sign!r}")
    return Money(given.get("amount"), given.get("currency"), 1 if sign == "positive" else -1)


def _refuse_unknown(path: Path, what: str, given: Iterable, known: Iterable[str]) -> None:
    for key in given:
        _require(path, key in known, f"unknown {what}: {key!r}; known: {', '.join(known)}")


def _require(path: Path, holds: object, message: str) -> None:
    if not holds:
        raise FeedDeclarationError(f"{path}: {message}")


def _repeated(names: Iterable) -> list:
    seen = list(names)
    return sorted({name for name in seen if seen.count(name) > 1})
