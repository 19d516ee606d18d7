"""Readers: how the engine reads one file of a declared feed, and how we know that it read all of it.

Belongs here: looking at a file's bytes once (`survey`), and the SQL that turns it into records (`plan`). Does
not belong here: tables, transactions and the ledger (`orchestration/ingest.py`), the meaning of any column.

A text is counted three times by different means: its lines in Python (`survey`), its records by a pattern
over lines in the engine, its rows by the engine's CSV or JSON reader. Where they disagree, the file is
refused. Python never takes a row into its hands.
"""

import codecs
import csv
import gzip
import hashlib
import io
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.feeds import CsvDialect, Feed, snake_case
from orchestration.sql import quote_name, quote_text

CHUNK_BYTES = 1 << 20
# Splits no line: a file that holds this control character is refused, so a line is always one value.
NO_DELIMITER = "\x1f"
ENCODINGS_OF_THE_ENGINE = ("utf-8", "utf-8-sig", "ascii")
JSON_IS_OBJECT = "coalesce(case when json_valid(line) then json_type(line) end = 'OBJECT', false)"
JSON_FRACTION = r"[:,\[]\s*-?[0-9]+[.eE]"
JSON_UP_TO_NUMBER = r'((?:"(?:[^"\\]|\\.)*"|[^"0-9-])*)(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)'
NUMBERED_AS_READ = "null::bigint"
NOTHING_REFUSED = """
    select null::bigint as _record_number, null::varchar as column_name, null::varchar as reason_code,
        null::varchar as message where false"""


class UnreadableFile(Exception):
    """A file cannot be read as a whole. The message names the file, the reason and the next step."""


@dataclass(frozen=True)
class Survey:
    """What one pass over a file's bytes tells. Line count and problem concern text only."""

    content_hash: str  # sha256 of the content, unzipped: the same content zipped and plain is the same
    byte_count: int
    line_count: int
    is_uniform: bool  # one kind of line end throughout, \n or \r\n
    problem: str | None  # why the content is not the text that was declared


@dataclass(frozen=True)
class _File:
    """One file at hand, and what reading it needs: `named` are the columns that its name gives."""

    connection: duckdb.DuckDBPyConnection
    feed: Feed
    path: Path
    named: dict[str, str | None]
    seen: Survey
    scratch: Path

    def one(self, sql: str) -> tuple:
        return self.connection.execute(sql).fetchone()


@dataclass(frozen=True)
class Plan:
    """How one file becomes rows. All SQL; grain of each: one row per record of the file.

    rows: the readable records: `_record_number` (null: ordinal of the row), raw columns, `_extra_columns`.
    records: every record: `_record_number`, `line_number`, `raw_text`.
    refused: the records that cannot be read: `_record_number`, `column_name`, `reason_code`, `message`.
    """

    record_count: int
    readable_count: int
    rows: str
    records: str
    refused: str


def survey(feed: Feed, path: Path) -> Survey:
    """Reads the file's bytes once: hash, lines, encoding. Raises UnreadableFile for a damaged gzip."""
    file_format = feed.format_of(path.name)
    text = None if file_format == "parquet" else _TextSurvey(_encoding(feed, file_format))
    digest, byte_count = hashlib.sha256(), 0
    try:
        with _open_bytes(path) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
                byte_count += len(chunk)
                if text:
                    text.take(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFile(
            f"{path.name}: the gzip file is damaged or cut short ({error}). Drop a whole copy."
        ) from error
    if text:
        text.take(b"", final=True)
    return Survey(
        content_hash=digest.hexdigest(),
        byte_count=byte_count,
        line_count=text.line_count if text else 0,
        is_uniform=text.is_uniform if text else True,
        problem=text.problem if text else None,
    )


def plan(connection: duckdb.DuckDBPyConnection, feed: Feed, path: Path, seen: Survey, scratch: Path) -> Plan:
    """How to read the file, after the engine has counted and judged its records.

    scratch: a folder for copies, to be kept until the plan is carried out. Raises UnreadableFile where the
    file as a whole is not what its feed declares.
    """
    if seen.byte_count == 0:
        raise UnreadableFile(f"{path.name}: the file is empty (0 bytes). Drop it again with its content.")
    if seen.problem:
        raise UnreadableFile(f"{path.name}: {seen.problem}")
    file = _File(connection, feed, path, _values_of_file_name(feed, path), seen, scratch)
    plan_format = {"csv": _plan_csv, "jsonl": _plan_jsonl, "parquet": _plan_parquet}
    return plan_format[feed.format_of(path.name)](file)


# --- the survey ---------------------------------------------------------------------------------------------


class _TextSurvey:
    """Decodes a text in chunks and counts its lines, whatever ends them."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.problem: str | None = None
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
        self._line_end_count = 0
        self._last = "\n"

    def take(self, chunk: bytes, final: bool = False) -> None:
        if self.problem:
            return
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            line = self._line_end_count + error.object[: error.start].count(b"\n") + 1
            self.problem = (
                f"line {line} is not {self.encoding.removesuffix('-sig')} text "
                f"(byte 0x{error.object[error.start]:02x}). "
                f"Declare the encoding that it has, or convert the file."
            )
            return
        if NO_DELIMITER in text:
            line = self._line_end_count + text[: text.index(NO_DELIMITER)].count("\n") + 1
            self.problem = f"line {line} holds the control character 0x1f, which no text has. Ask for a clean file."
        self._line_end_count += text.count("\n")
        self._last = text[-1:] or self._last

    @property
    def line_count(self) -> int:
        return self._line_end_count + (self._last != "\n")

    @property
    def is_uniform(self) -> bool:
        return self._decoder.newlines in (None, "\n", "\r\n")


def _open_bytes(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if _is_zipped(path) else path.open("rb")


def _is_zipped(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _encoding(feed: Feed, file_format: str) -> str:
    """The codec to decode with. A byte order mark is no part of the first value; JSON is always UTF-8."""
    encoding = codecs.lookup(feed.csv.encoding).name if file_format == "csv" else "utf-8"
    return "utf-8-sig" if encoding == "utf-8" else encoding


# --- CSV ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """A CSV file's dialect, the labels of its columns, and the number of lines before its first record."""

    dialect: CsvDialect
    labels: tuple[str, ...]
    skip: int

    def fields(self, source: str) -> str:
        """SQL: the fields `c0`, `c1`, ... as the engine's strict reader sees them."""
        return self._read(source, {}, self.skip)

    def fields_of_copy(self, copy: Path) -> str:
        """SQL: the same of a copy without header, each record behind its number."""
        return self._read(_source(copy), {"_record_number": "BIGINT"}, 0)

    def _read(self, source: str, leading: dict[str, str], skip: int) -> str:
        columns = leading | {f"c{position}": "VARCHAR" for position in range(len(self.labels))}
        return _read_csv(source, columns, skip, self.dialect.delimiter, self.dialect.quote)

    @property
    def field_pattern(self) -> str:
        """One field, as RFC 4180 has it; also with a space before an opening and after a closing quote."""
        delimiter = _code_point(self.dialect.delimiter)
        if not self.dialect.quote:
            return rf"[^{delimiter}\n]*"
        quote = _code_point(self.dialect.quote)
        quoted = rf" ?{quote}(?:[^{quote}]|{quote}{quote})*{quote} *"
        plain = rf" *[^{quote}{delimiter} \n][^{delimiter}\n]*| *"
        return f"(?:{quoted}|{plain})"

    @property
    def record_pattern(self) -> str:
        """One record with exactly as many fields as there are columns."""
        return f"{self.field_pattern}{self._following_pattern}{{{len(self.labels) - 1}}}"

    @property
    def ragged_pattern(self) -> str:
        """One record with any number of fields."""
        return f"{self.field_pattern}{self._following_pattern}*"

    @property
    def _following_pattern(self) -> str:
        return f"(?:{_code_point(self.dialect.delimiter)}{self.field_pattern})"


def _plan_csv(file: _File) -> Plan:
    dialect, encoding = file.feed.csv, _encoding(file.feed, "csv")
    labels, skip = _header(file, encoding)
    positions = _declared_positions(file, labels)
    layout = _Layout(dialect, _unique(labels), skip)
    as_it_lies = encoding in ENCODINGS_OF_THE_ENGINE and file.seen.is_uniform and not dialect.multiline
    source = _source(_linked(file) if as_it_lies else _rewritten(file, encoding))
    if dialect.multiline:
        records = _records_across_lines(file, layout)
    else:
        _require_all_lines(file, source, skip)
        records = _numbered_lines(source, skip)
    is_readable = f"regexp_full_match(raw_text, {quote_text(layout.record_pattern)})"
    record_count, readable_count = file.one(f"select count(*), count(*) filter (where {is_readable}) from ({records})")
    number, fields = NUMBERED_AS_READ, layout.fields(source)
    if readable_count < record_count:
        copy = _copy_of_readable(file, layout, f"select * from ({records}) where {is_readable}")
        number, fields = "_record_number", layout.fields_of_copy(copy)
    values = {name: f"c{position}" for name, position in positions.items()}
    unknown = _undeclared(file, layout.labels, positions)
    extra = {label: f"c{i}" for i, label in unknown.items()}
    return Plan(
        record_count=record_count,
        readable_count=readable_count,
        rows=f"select {_raw_columns(file, number, values, _json_object(extra))} from {fields}",
        records=records,
        refused=_refused_csv(layout, f"select * from ({records}) where not {is_readable}"),
    )


def _header(file: _File, encoding: str) -> tuple[tuple[str, ...], int]:
    """Labels of the columns in the file's order, and the number of lines up to the first record."""
    if not file.feed.csv.header:
        return tuple(column.source_name for column in file.feed.columns), 0
    quoting = csv.QUOTE_MINIMAL if file.feed.csv.quote else csv.QUOTE_NONE
    with io.TextIOWrapper(_open_bytes(file.path), encoding=encoding, newline=None) as text:
        reader = csv.reader(
            text, delimiter=file.feed.csv.delimiter, quotechar=file.feed.csv.quote or None, quoting=quoting
        )
        try:
            labels = next((row for row in reader if row), None)
        except csv.Error as error:
            raise UnreadableFile(f"{file.path.name}: the header is not readable: {error}.") from error
        if labels is None:
            raise UnreadableFile(f"{file.path.name}: the file has only blank lines. Drop it again with its content.")
        return tuple(label.strip() for label in labels), reader.line_num


def _declared_positions(file: _File, labels: tuple[str, ...]) -> dict[str, int]:
    """Raw column -> position in the file. Order, capitals and spaces of a header do not matter."""
    names = [snake_case(label) for label in labels]
    positions = {column.name: names.index(column.name) for column in file.feed.columns if column.name in names}
    found = f"The file has: {', '.join(labels)}."
    twice = [name for name in positions if names.count(name) > 1]
    if twice:
        raise UnreadableFile(f"{file.path.name}: column twice in the header: {', '.join(twice)}. {found}")
    missing = [
        column.source_name for column in file.feed.columns if column.rule != "optional" and column.name not in names
    ]
    if missing:
        raise UnreadableFile(
            f"{file.path.name}: required column missing: {', '.join(missing)}. {found} "
            f"Add it to the file, or correct {file.feed.declaration.name}."
        )
    return positions


def _unique(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels that are blank or repeated get their position, so that no value hides behind another."""
    count = Counter(labels)
    return tuple(
        label if label and count[label] == 1 else f"{label}#{position}"
        for position, label in enumerate(labels, start=1)
    )


def _records_across_lines(file: _File, layout: _Layout) -> str:
    """SQL: records whose quoted values may hold line ends. What is no record, is refused line by line.

    So one quote too many costs its own line, and not the rest of the file.
    """
    with (file.scratch / "rewritten").open(encoding="utf-8", newline="") as text:
        content = "".join(line for number, line in enumerate(text, start=1) if number > layout.skip)
    pattern = rf"{layout.record_pattern}(?:\n|\z)|[^\n]*\n|[^\n]+\z"
    file.connection.execute(
        f"""
        create or replace temp table records_across_lines as
        with pieces as (
            select unnest(found) as piece, unnest(range(len(found))) as ordinal
            from (select regexp_extract_all(?, {quote_text(pattern)}) as found)
        )
        select
            ordinal,
            piece,
            {layout.skip + 1} + coalesce(sum(length(piece) - length(replace(piece, chr(10), ''))) over (
                order by ordinal rows between unbounded preceding and 1 preceding
            ), 0)::bigint as line_number
        from pieces
        """,
        [content],
    )
    (length,) = file.one("select coalesce(sum(length(piece)), 0) from temp.records_across_lines")
    if length != len(content):
        raise UnreadableFile(
            f"{file.path.name}: only {length} of {len(content)} characters were understood as records."
        )
    return """
        select
            row_number() over (order by ordinal) as _record_number,
            line_number,
            rtrim(piece, chr(10)) as raw_text
        from temp.records_across_lines where rtrim(piece, chr(10)) <> ''"""


def _copy_of_readable(file: _File, layout: _Layout, readable: str) -> Path:
    """A copy without the records that cannot be read; each of the others behind its number."""
    copy = file.scratch / "readable"
    file.connection.execute(
        f"""
        copy (select _record_number || {quote_text(layout.dialect.delimiter)} || raw_text from ({readable}))
        to {quote_text(str(copy))} (format csv, header false, delimiter '{NO_DELIMITER}', quote '', escape '')
        """
    )
    return copy


def _refused_csv(layout: _Layout, unreadable: str) -> str:
    delimiter = _code_point(layout.dialect.delimiter)
    found = f"len(regexp_extract_all(raw_text, {quote_text(f'(?:^|{delimiter}){layout.field_pattern}')}))"
    is_ragged = f"regexp_full_match(raw_text, {quote_text(layout.ragged_pattern)})"
    return f"""
        select
            _record_number,
            null::varchar as column_name,
            if({is_ragged}, 'wrong_column_count', 'unreadable_row') as reason_code,
            if({is_ragged}, {found} || ' columns, expected {len(layout.labels)}',
                'a quote is not closed, or text follows a closing quote') as message
        from ({unreadable})"""


# --- JSON Lines ---------------------------------------------------------------------------------------------


def _plan_jsonl(file: _File) -> Plan:
    source = _source(_linked(file) if file.seen.is_uniform else _rewritten(file, "utf-8-sig"))
    _require_all_lines(file, source, 0)
    record_count, readable_count = file.one(
        f"select count(line), count(line) filter (where {JSON_IS_OBJECT}) from {_lines(source, 0)}"
    )
    records = _numbered_lines(source, 0)
    number, lines = NUMBERED_AS_READ, f"select line from {_lines(source, 0)} where line is not null"
    if readable_count < record_count:
        numbered = f"select _record_number, raw_text as line from ({records})"
        number, lines = "_record_number", f"select * from ({numbered}) where {JSON_IS_OBJECT}"
    columns = [column.source_name for column in file.feed.columns]
    paths = ", ".join(quote_text(f'$."{name}"') for name in columns)
    values = {column.name: f"nullif(found[{i}], '')" for i, column in enumerate(file.feed.columns, start=1)}
    known = dict.fromkeys([*columns, *file.feed.dropped])
    undeclared = f"json_merge_patch(line, {quote_text(json.dumps(known))})::varchar"
    extra = f"nullif({undeclared}, '{{}}')"
    return Plan(
        record_count=record_count,
        readable_count=readable_count,
        rows=f"""
            select {_raw_columns(file, number, values, extra)}
            from (
                select *, json_extract_string(line, [{paths}]) as found
                from (select * replace ({_json_with_numbers_as_text("line")} as line) from ({lines}))
            )""",
        records=records,
        refused=f"""
            select
                _record_number,
                null::varchar as column_name,
                'invalid_json' as reason_code,
                if(json_valid(line), 'not a JSON object', 'not valid JSON') as message
            from (select _record_number, raw_text as line from ({records})) where not {JSON_IS_OBJECT}""",
    )


def _json_with_numbers_as_text(line: str) -> str:
    """SQL: the line with each number in quotes, where one has a fraction or an exponent.

    The engine reads such a number as a float and would hand on another text than the sender wrote: `1.10` as
    `1.1`, and of 18 digits only 17. Strings are passed over as wholes; the sentinel ` 0` keeps the last match
    from starting inside one.
    """
    has_fraction = f"regexp_matches({line}, {quote_text(JSON_FRACTION)})"
    quoted = f"regexp_replace({line} || ' 0', {quote_text(JSON_UP_TO_NUMBER)}, '\\1\"\\2\"', 'g')"
    return f"if({has_fraction}, left({quoted}, -4), {line})"


# --- Parquet ------------------------------------------------------------------------------------------------


def _plan_parquet(file: _File) -> Plan:
    source = quote_text(str(_linked(file)))
    try:
        columns = file.connection.execute(f"describe select * from read_parquet({source})").fetchall()
        (count,) = file.one(f"select sum(num_rows)::bigint from parquet_file_metadata({source})")
    except duckdb.Error as error:
        raise UnreadableFile(f"{file.path.name}: not readable as Parquet ({error}). Drop a whole copy.") from error
    labels = tuple(name for name, *_ in columns)
    texts = [_parquet_text(name, data_type) for name, data_type, *_ in columns]
    positions = _declared_positions(file, labels)
    values = {name: f"nullif({texts[position]}, '')" for name, position in positions.items()}
    extra = {label: texts[i] for i, label in _undeclared(file, labels, positions).items()}
    everything = _json_object(dict(zip(labels, texts, strict=True)))
    number, rows = "file_row_number + 1", f"read_parquet({source}, file_row_number = true)"
    return Plan(
        record_count=count,
        readable_count=count,
        rows=f"select {_raw_columns(file, number, values, _json_object(extra))} from {rows}",
        records=f"""
            select {number} as _record_number, {number} as line_number, {everything} as raw_text
            from {rows}""",
        refused=NOTHING_REFUSED,
    )


def _parquet_text(name: str, data_type: str) -> str:
    """SQL: a typed value as the text that a file would hold. Zoned instants are spelt in UTC with a Z."""
    value = quote_name(name)
    if data_type == "TIMESTAMP WITH TIME ZONE":
        return f"replace(({value} at time zone 'UTC')::varchar, ' ', 'T') || 'Z'"
    if data_type.startswith("TIMESTAMP"):
        return f"replace({value}::varchar, ' ', 'T')"
    if data_type.endswith("]") or data_type.startswith(("STRUCT", "MAP")):
        return f"to_json({value})::varchar"
    return f"{value}::varchar"


# --- what the formats share ---------------------------------------------------------------------------------


def _values_of_file_name(feed: Feed, path: Path) -> dict[str, str | None]:
    if feed.file_name_pattern is None:
        return {}
    match = feed.file_name_pattern.fullmatch(path.name)
    if match is None:
        raise UnreadableFile(
            f"{path.name}: the name does not give {', '.join(feed.found_columns)}; "
            f"it must match {feed.file_name_pattern.pattern}. Rename the file."
        )
    return match.groupdict()


def _undeclared(file: _File, labels: tuple[str, ...], positions: dict[str, int]) -> dict[int, str]:
    """Columns of the file that the feed neither declares nor drops, by position."""
    return {
        i: label for i, label in enumerate(labels) if i not in positions.values() and label not in file.feed.dropped
    }


def _raw_columns(file: _File, number: str, values: dict[str, str], extra: str) -> str:
    """SQL: the select list of a plan's rows. A column that the file lacks is null."""
    known = values | {name: quote_text(value) for name, value in file.named.items() if value is not None}
    raw = [f"{known.get(name, 'null::varchar')} as {quote_name(name)}" for name in file.feed.column_names]
    return ", ".join([f"{number} as _record_number", *raw, f"{extra} as _extra_columns"])


def _json_object(values: dict[str, str]) -> str:
    """SQL: a JSON object of label -> value as text; null where there is nothing to hold."""
    if not values:
        return "null::varchar"
    members = ", ".join(f"{quote_text(label)}, {value}" for label, value in values.items())
    return f"json_object({members})::varchar"


def _require_all_lines(file: _File, source: str, skip: int) -> None:
    """The engine must see the lines that Python counted, no more and no less."""
    try:
        (line_count,) = file.one(f"select count(*) + {skip} from {_lines(source, skip)}")
    except duckdb.Error as error:
        first_line = str(error).partition("\n")[0]  # what follows quotes the line, however long it is
        raise UnreadableFile(
            f"{file.path.name}: {first_line}. Nothing of it is loaded; a line may have at most 2 MB."
        ) from error
    if line_count != file.seen.line_count:
        raise UnreadableFile(
            f"{file.path.name}: {file.seen.line_count} lines in the file, but the engine sees {line_count}. "
            f"Nothing of it is loaded."
        )


def _numbered_lines(source: str, skip: int) -> str:
    """SQL: one record per line that is not blank, in the file's order."""
    return f"""
        select row_number() over () as _record_number, line_number, line as raw_text
        from (select row_number() over () + {skip} as line_number, line from {_lines(source, skip)})
        where line is not null"""


def _lines(source: str, skip: int) -> str:
    """SQL: the lines of a text as `line`; null for a blank one."""
    return _read_csv(source, {"line": "VARCHAR"}, skip, NO_DELIMITER, "")


def _read_csv(source: str, columns: dict[str, str], skip: int, delimiter: str, quote: str) -> str:
    """SQL: the engine's strict CSV reader, told everything. An empty value is null."""
    types = ", ".join(f"{quote_text(name)}: {quote_text(type_name)}" for name, type_name in columns.items())
    return (
        f"read_csv({source}, auto_detect = false, header = false, skip = {skip}, columns = {{{types}}}, "
        f"nullstr = '', delim = {quote_text(delimiter)}, quote = {quote_text(quote)}, "
        f"escape = {quote_text(quote)})"
    )


def _source(path: Path) -> str:
    return f"{quote_text(str(path))}, compression = {quote_text('gzip' if _is_zipped(path) else 'none')}"


def _linked(file: _File) -> Path:
    """A link to the file under a name without the signs (`*`, `?`, `[`) that the engine would expand."""
    link = file.scratch / ("original.gz" if _is_zipped(file.path) else "original")
    link.symlink_to(file.path.resolve())
    return link


def _rewritten(file: _File, encoding: str) -> Path:
    """A copy in UTF-8 with \\n at each line's end, for what the engine cannot read as it lies."""
    copy = file.scratch / "rewritten"
    with (
        io.TextIOWrapper(_open_bytes(file.path), encoding=encoding, newline=None) as original,
        copy.open("w", encoding="utf-8", newline="\n") as text,
    ):
        while chunk := original.read(CHUNK_BYTES):
            text.write(chunk)
    return copy


def _code_point(character: str) -> str:
    """A character as a pattern writes it, whatever it means there."""
    return f"\\x{{{ord(character):x}}}"
