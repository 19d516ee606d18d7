"""Readers: how the engine reads one body of text or Parquet, and how we know that it read all of it.

Belongs here: looking at the bytes once (`survey`), and the SQL that turns them into records (`read_at_once`, `plan`).
Does not belong here: opening zips, workbooks and envelopes (`unpacking.py`), tables, transactions and the ledger
(`orchestration/ingest.py`), the meaning of any column.

A CSV file whose every line is shown to be well formed is read by the engine at once: the survey counts its records,
vouches for each of them by its bytes, and cuts the text into pieces that are read side by side, each from the number
of its first record on. Any other text is counted three times by different means: its lines in Python, its records by
a pattern over lines in the engine, its rows by the engine's CSV or JSON reader. Where counts disagree, the file is
refused. Python never takes a row into its hands.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import duckdb
import numpy as np

from orchestration.feeds import ANY, Column, CsvDialect, Feed, snake_case
from orchestration.feeds.unpacking import GZIP_ERRORS, Body, UnreadableFile, hash_of, is_zipped, open_bytes
from orchestration.sql import quote_name, quote_text

CHUNK_BYTES = 1 << 17
PIECE_BYTES = 1 << 25
TAIL_CHARACTERS = 1 << 16  # where a trailer is looked for
# Splits no line: a file that holds this control character is refused, so a line is always one value.
NO_DELIMITER = "\x1f"
ENCODINGS_OF_THE_ENGINE = ("utf-8", "utf-8-sig", "ascii")
JSON_FRACTION = r"[:,\[]\s*-?([0-9]+[.eE]|[0-9]{19})"
JSON_UP_TO_NUMBER = r'((?:"(?:[^"\\]|\\.)*"|[^"0-9-])*)(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)'
NUMBERED_AS_READ = "null::bigint"
NOTHING_REFUSED = """
    select null::bigint as _record_number, null::varchar as column_name, null::varchar as reason_code,
        null::varchar as message where false"""


def is_json_object(text: str) -> str:
    """SQL: is this column one object of JSON? False for null and for what is no JSON."""
    return f"coalesce(case when json_valid({text}) then json_type({text}) end = 'OBJECT', false)"


JSON_IS_OBJECT = is_json_object("line")


@dataclass(frozen=True)
class Shape:
    """What every record of a well-formed CSV file has: so many fields, apart by this byte, quoted by that one."""

    field_count: int
    delimiter: bytes
    quote: bytes
    skip: int


@dataclass(frozen=True)
class Piece:
    """Whole lines of a text, without its header, and how many records they are."""

    path: Path
    record_count: int


@dataclass(frozen=True)
class Survey:
    """What one pass over a body's bytes tells. Line count, problem and what follows concern text only.

    bytes_hash: sha256 of the content, unzipped: the same content zipped and plain is the same.
    is_uniform: one kind of line end throughout, \\n or \\r\\n.
    problem: why the content is not the text that was declared.
    pieces: all records in their order, where a shape was asked for and every line has it; else None.
    is_without_blanks: no field of such a record is blank.
    """

    bytes_hash: str
    byte_count: int
    line_count: int
    is_uniform: bool
    problem: str | None
    pieces: tuple[Piece, ...] | None = None
    is_without_blanks: bool = False


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
class _File:
    """One body at hand, and what reading it needs: `found` are the columns that names and lines around give."""

    connection: duckdb.DuckDBPyConnection
    feed: Feed
    body: Body
    seen: Survey | None
    scratch: Path
    found: dict[str, str | None] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.body.label

    @property
    def dialect(self) -> CsvDialect:
        """As declared; a sheet was written as CSV by ourselves, in one way."""
        return CsvDialect(header=self.feed.csv.header, multiline=True) if self.body.part.sheet else self.feed.csv

    @property
    def encoding(self) -> str:
        return "utf-8" if self.body.part.sheet else _encoding(self.feed, self.body.format)

    def one(self, sql: str) -> tuple:
        return self.connection.execute(sql).fetchone()


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


def shape(connection: duckdb.DuckDBPyConnection, feed: Feed, body: Body, scratch: Path) -> Shape | None:
    """What each line must look like for the body to be read at once; None where it needs more looking."""
    file = _File(connection, feed, body, None, scratch, dict(body.found))
    dialect = file.dialect
    is_single_bytes = all(len(mark.encode()) <= 1 for mark in (dialect.delimiter, dialect.quote))
    is_bare = not (dialect.multiline or feed.trailer or feed.control_totals)
    if body.format != "csv" or file.encoding not in ENCODINGS_OF_THE_ENGINE or not is_bare or not is_single_bytes:
        return None
    try:
        labels, skip = _header(file)
    except UnreadableFile:
        return None  # `plan` finds it too, and says it in the ledger
    if skip == 0 and _begins_with_byte_order_mark(body.path):
        return None
    return Shape(len(labels), dialect.delimiter.encode(), dialect.quote.encode(), skip)


def survey(feed: Feed, body: Body, wanted: Shape | None, scratch: Path) -> Survey:
    """Reads the bytes once: hash, lines, encoding, and whether each line has the shape; then it is cut into pieces,
    which lie in `scratch`. Raises UnreadableFile for a damaged gzip."""
    text = None if body.format == "parquet" else _TextSurvey(_encoding(feed, body.format))
    cutter = _Cutter(wanted, scratch) if wanted else None
    byte_count = 0
    try:
        with open_bytes(body.path) as stream, ThreadPoolExecutor(max_workers=1) as beside:
            hashing = None if body.bytes_hash else beside.submit(hash_of, body.path)
            while chunk := stream.read(CHUNK_BYTES):
                byte_count += len(chunk)
                if text:
                    text.take(chunk)
                if cutter:
                    cutter.take(chunk)
            bytes_hash = hashing.result() if hashing else body.bytes_hash
    except GZIP_ERRORS as error:
        raise _damaged(body, error) from error
    if text:
        text.take(b"", final=True)
    if cutter:
        cutter.finish(is_sound=text.problem is None and text.is_uniform)
    return Survey(
        bytes_hash=bytes_hash,
        byte_count=byte_count,
        line_count=text.line_count if text else 0,
        is_uniform=text.is_uniform if text else True,
        problem=text.problem if text else None,
        pieces=cutter.pieces if cutter else None,
        is_without_blanks=cutter is not None and cutter.is_without_blanks,
    )


def read_at_once(
    connection: duckdb.DuckDBPyConnection, feed: Feed, body: Body, seen: Survey, scratch: Path
) -> AtOnce | None:
    """How to read a body that is what it should be in one pass; None where `plan` has to look at each record."""
    file = _File(connection, feed, body, seen, scratch, dict(body.found))
    try:
        if seen.pieces:
            return _csv_at_once(file)
        return _parquet_at_once(file) if body.format == "parquet" and seen.byte_count else None
    except UnreadableFile:
        return None  # `plan` finds it too, and says it in the ledger


def plan(connection: duckdb.DuckDBPyConnection, feed: Feed, body: Body, seen: Survey, scratch: Path) -> Plan:
    """How to read the body, after the engine has counted and judged its records.

    scratch: a folder for copies, to be kept until the plan is carried out. Raises UnreadableFile where the
    body as a whole is not what its feed declares.
    """
    if seen.byte_count == 0:
        raise UnreadableFile(f"{body.label}: the file is empty (0 bytes). Drop it again with its content.")
    if seen.problem:
        raise UnreadableFile(f"{body.label}: {seen.problem}")
    file = _File(connection, feed, body, seen, scratch, dict(body.found))
    plan_format = {
        "csv": _plan_csv,
        "jsonl": _plan_jsonl,
        "parquet": _plan_parquet,
        "fixed_width": _plan_fixed_width,
    }
    return plan_format[body.format](file)


# --- the survey ---------------------------------------------------------------------------------------------


class _TextSurvey:
    """Decodes a text in chunks and counts its lines, whatever ends them."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.problem: str | None = None
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._line_end_count = 0
        self._had_line_ends = False
        self._last = "\n"

    def take(self, chunk: bytes, final: bool = False) -> None:
        if self.problem:
            return
        # Nearly all bulk text is ASCII with \n: counting bytes then says the same as decoding, in a tenth of the time.
        is_plain = self._decoder is None and chunk.isascii() and b"\r" not in chunk
        if is_plain and self.encoding in ENCODINGS_OF_THE_ENGINE:
            if NO_DELIMITER.encode() in chunk:
                self._refuse_control_character(chunk.decode("ascii"))
            self._line_end_count += int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")))
            self._last = chunk[-1:].decode("ascii") or self._last
            return
        if self._decoder is None:
            decode = codecs.getincrementaldecoder(self.encoding if self._is_at_start else "utf-8")()
            self._decoder = io.IncrementalNewlineDecoder(decode, translate=True)
            self._had_line_ends = self._line_end_count > 0
        self._decode(chunk, final)

    def _decode(self, chunk: bytes, final: bool) -> None:
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
            self._refuse_control_character(text)
        self._line_end_count += text.count("\n")
        self._last = text[-1:] or self._last

    def _refuse_control_character(self, text: str) -> None:
        line = self._line_end_count + text[: text.index(NO_DELIMITER)].count("\n") + 1
        self.problem = f"line {line} holds the control character 0x1f, which no text has. Ask for a clean file."

    @property
    def _is_at_start(self) -> bool:
        """A byte order mark can only stand at the very beginning; 16-bit codes are always decoded from there."""
        return self._line_end_count == 0 and self._last == "\n"

    @property
    def line_count(self) -> int:
        return self._line_end_count + (self._last != "\n")

    @property
    def is_uniform(self) -> bool:
        if self._decoder is None or self._decoder.newlines is None:
            return True
        return self._decoder.newlines == "\n" or (self._decoder.newlines == "\r\n" and not self._had_line_ends)


class _Cutter:
    """Holds each line of a CSV text against a shape, by its bytes (RFC 4180, without line ends inside quotes), and
    cuts the text into pieces.

    It vouches or it does not: a line that the pattern below would still read (a blank before a quote) makes it
    silent as well, and the text then goes the longer way.
    """

    def __init__(self, wanted: Shape, folder: Path) -> None:
        self._shape = wanted
        self._folder = folder
        self._skip = wanted.skip
        self._rest = b""
        self._is_formed = True
        self._may_hold_blanks = False
        self._whole: list[Piece] = []
        self._piece: BinaryIO | None = None
        self._record_count = 0  # of the piece

    def take(self, chunk: bytes) -> None:
        if not self._is_formed:
            return
        text = self._rest + chunk
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        self._write(text[:end])
        self._is_formed &= len(self._rest) < 2 * CHUNK_BYTES

    def finish(self, is_sound: bool) -> None:
        """Judges a last line that nothing ends. What is not sound as a text has no pieces."""
        if self._rest:
            self._write(self._rest)
        self._close_piece()
        self._is_formed &= is_sound and self._skip == 0

    @property
    def pieces(self) -> tuple[Piece, ...] | None:
        """All records, if every one has the shape."""
        return tuple(self._whole) if self._is_formed else None

    @property
    def is_without_blanks(self) -> bool:
        """No field of any record is empty or begins with white space."""
        return not self._may_hold_blanks

    def _write(self, lines: bytes) -> None:
        while self._skip and lines:
            lines = lines.partition(b"\n")[2]
            self._skip -= 1
        if not lines or not self._is_formed:
            return
        self._judge(lines if lines.endswith(b"\n") else lines + b"\n")
        if self._piece is None:
            self._piece = (self._folder / f"piece-{len(self._whole)}").open("wb")
        self._piece.write(lines)
        if self._piece.tell() >= PIECE_BYTES:
            self._close_piece()

    def _close_piece(self) -> None:
        if self._piece is not None:
            self._piece.close()
            self._whole.append(Piece(Path(self._piece.name), self._record_count))
            self._piece, self._record_count = None, 0

    def _judge(self, lines: bytes) -> None:
        if b"\0" in lines:
            self._is_formed = False
            return
        codes = np.frombuffer(lines, np.uint8)
        is_delimiter, is_end = codes == self._shape.delimiter[0], codes == ord("\n")
        self._look_for_blanks(codes, is_delimiter, is_end)
        if self._is_plain(lines, is_end):
            # The engine refuses a record with too few fields, so where the sum is right each one is.
            line_count = np.count_nonzero(is_end)
            self._record_count += int(line_count)
            self._is_formed = bool(np.count_nonzero(is_delimiter) == line_count * (self._shape.field_count - 1))
            return
        delimiters, ends = np.flatnonzero(is_delimiter), np.flatnonzero(is_end)
        if self._shape.quote and self._shape.quote in lines:
            quotes = np.flatnonzero(codes == self._shape.quote[0])
            if not self._quotes_are_formed(codes, quotes, ends):
                self._is_formed = False
                return
            delimiters = delimiters[np.searchsorted(quotes, delimiters) % 2 == 0]
        widths = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
        lengths = np.diff(ends, prepend=-1) - 1
        is_record = (lengths > 1) | ((lengths == 1) & (codes[np.maximum(ends - 1, 0)] != ord("\r")))
        self._record_count += int(is_record.sum())
        self._is_formed = bool((widths[is_record] == self._shape.field_count).all())

    def _look_for_blanks(self, codes: np.ndarray, is_delimiter: np.ndarray, is_end: np.ndarray) -> None:
        """A field that begins with white space, with a quote, or with what should end it, may be blank."""
        is_blank = is_delimiter | (codes <= ord(" "))
        if self._shape.quote:
            is_blank |= codes == self._shape.quote[0]
        begins = (is_delimiter | is_end)[:-1] & is_blank[1:]
        self._may_hold_blanks |= bool(is_blank[0]) or bool(begins.any())

    def _is_plain(self, lines: bytes, is_end: np.ndarray) -> bool:
        """Neither quotes nor blank lines nor \\r: then counting says as much as looking at each line."""
        has_quotes = self._shape.quote and self._shape.quote in lines
        return not (has_quotes or b"\r" in lines or is_end[0] or (is_end[1:] & is_end[:-1]).any())

    def _quotes_are_formed(self, codes: np.ndarray, quotes: np.ndarray, ends: np.ndarray) -> bool:
        """Opening quotes begin a field, closing ones end it, and no line ends in between."""
        quote = self._shape.quote[0]
        before = codes[quotes[::2] - 1]
        begins = (before == self._shape.delimiter[0]) | (before == ord("\n")) | (before == quote) | (quotes[::2] == 0)
        after = codes[quotes[1::2] + 1] if len(quotes) % 2 == 0 else np.empty(0, np.uint8)
        closes = (after == self._shape.delimiter[0]) | (after == ord("\n")) | (after == ord("\r")) | (after == quote)
        is_whole = len(quotes) % 2 == 0 and not (np.searchsorted(quotes, ends) % 2).any()
        return bool(is_whole and begins.all() and closes.all())


def _encoding(feed: Feed, file_format: str) -> str:
    """The codec to decode with. A byte order mark is no part of the first value; JSON is always UTF-8."""
    encoding = codecs.lookup(feed.csv.encoding).name if file_format in ("csv", "fixed_width") else "utf-8"
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

    def fields_of_pieces(self, pieces: Iterable[Piece]) -> str:
        """SQL: the same of these pieces, one after the other."""
        return self._read(_source(*(piece.path for piece in pieces)), {}, 0)

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
    dialect, encoding = file.dialect, file.encoding
    labels, skip = _header(file)
    positions = _declared_positions(file, labels)
    layout = _Layout(dialect, _unique(labels), skip)
    is_as_it_lies = encoding in ENCODINGS_OF_THE_ENGINE and file.seen.is_uniform
    cut = 0
    if is_as_it_lies and not dialect.multiline and not file.feed.trailer:
        source = _source(_linked(file))
    else:
        copy, cut = _rewritten(file)
        source = _source(copy)
    if dialect.multiline:
        records = _records_across_lines(file, layout)
    else:
        _require_all_lines(file, source, skip, cut)
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
        new_columns=_new_columns(file.feed, unknown.values()),
        totals=_control_totals(file),
    )


def _csv_at_once(file: _File) -> AtOnce:
    """Each thread of the engine reads some of the pieces, one after the other, and numbers as it reads."""
    labels, skip = _header(file)
    positions = _declared_positions(file, labels)
    layout = _Layout(file.dialect, _unique(labels), skip)
    unknown = _undeclared(file, layout.labels, positions)
    values = {name: f"c{position}" for name, position in positions.items()}
    extra = _json_object({label: f"c{i}" for i, label in unknown.items()})
    pieces = file.seen.pieces
    (thread_count,) = file.one("select current_setting('threads')")
    shares = [
        pieces[len(pieces) * i // thread_count : len(pieces) * (i + 1) // thread_count] for i in range(thread_count)
    ]
    reads, before = [], 0
    for share in filter(None, shares):
        columns = _raw_columns(file, f"{before} + row_number() over ()", values, extra)
        reads.append(f"select {columns} from {layout.fields_of_pieces(share)}")
        before += sum(piece.record_count for piece in share)
    return AtOnce(
        rows=" union all ".join(reads),
        record_count=before,
        new_columns=_new_columns(file.feed, unknown.values()),
        may_lack_values=not file.seen.is_without_blanks,
    )


def _begins_with_byte_order_mark(path: Path) -> bool:
    with open_bytes(path) as stream:
        return stream.read(3) == codecs.BOM_UTF8


def _header(file: _File) -> tuple[tuple[str, ...], int]:
    """Labels of the columns in the file's order, and the number of lines up to the first record.

    On the way the lines before the header are held against the preamble, and what they name is kept.
    """
    dialect, preamble = file.dialect, file.feed.preamble
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    try:
        with _open_text(file) as text:
            _read_preamble(file, text)
            if not dialect.header:
                return tuple(column.source_name for column in file.feed.columns), len(preamble)
            marks = {"delimiter": dialect.delimiter, "quotechar": dialect.quote or None, "quoting": quoting}
            reader, labels, above = csv.reader(text, strict=True, **marks), None, 0
            while labels == [] or labels is None:
                above, labels = reader.line_num, next(reader, None)
                if labels is None:
                    break
            if reader.line_num - above > 1 and not dialect.multiline:
                raise UnreadableFile(f"{file.label}: the header is not readable: a quote is not closed in its line.")
    except csv.Error as error:
        raise UnreadableFile(f"{file.label}: the header is not readable: {error}.") from error
    except UnicodeError as error:
        raise UnreadableFile(f"{file.label}: the header is not {file.encoding} text ({error}).") from error
    except GZIP_ERRORS as error:
        raise _damaged(file.body, error) from error
    if labels is None:
        raise UnreadableFile(f"{file.label}: the file has only blank lines. Drop it again with its content.")
    return tuple(label.strip() for label in labels), len(preamble) + reader.line_num


def _open_text(file: _File) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_bytes(file.body.path), encoding=file.encoding, newline=None)


def _damaged(body: Body, error: Exception) -> UnreadableFile:
    return UnreadableFile(f"{body.label}: the gzip file is damaged or cut short ({error}). Drop a whole copy.")


def _read_preamble(file: _File, text: io.TextIOWrapper) -> None:
    for number, pattern in enumerate(file.feed.preamble, start=1):
        _match_around(file, pattern, text.readline().rstrip("\n"), f"line {number}", "preamble")


def _match_around(file: _File, pattern: re.Pattern[str], line: str, place: str, key: str) -> None:
    """Keeps what a line before or after the records names."""
    match = pattern.fullmatch(line)
    if match is None:
        raise UnreadableFile(
            f"{file.label}: {place} is {line[:80]!r}, but `{key}` of {file.feed.declaration.name} expects "
            f"{pattern.pattern!r}. The file is cut short, or of another layout."
        )
    file.found.update(match.groupdict())


def _control_totals(file: _File) -> dict[str, tuple[str, str]]:
    """What the lines around the records say that these add up to."""
    return {name: (file.found.get(name) or "", adds_up) for name, adds_up in file.feed.control_totals}


def _new_columns(feed: Feed, labels: Iterable[str]) -> tuple[str, ...]:
    """Columns that nobody told us of: not declared, not dropped, not known as extra."""
    if feed.extra == ANY:
        return ()
    known = {snake_case(name) for name in feed.extra}
    return tuple(label for label in labels if snake_case(label) not in known)


def _declared_positions(file: _File, labels: tuple[str, ...]) -> dict[str, int]:
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
    return re.sub(r"[^\w$€£¥%#]+", "_", words).strip("_").casefold()


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
        raise UnreadableFile(f"{file.label}: only {length} of {len(content)} characters were understood as records.")
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
    source = _source(_linked(file) if file.seen.is_uniform else _rewritten(file)[0])
    _require_all_lines(file, source, 0)
    columns = _json_columns(file)
    required = [column for column in columns if column.rule != "optional"]
    seen = ", ".join(f"coalesce(bool_or(json_exists(line, {quote_text(column.path)})), false)" for column in required)
    record_count, readable_count, *is_there = file.one(
        f"""
        select count(line), count(line) filter (where {JSON_IS_OBJECT}){", " if required else ""}{seen}
        from (select if({JSON_IS_OBJECT}, line, if(line is null, null, '[]')) as line from {_lines(source, 0)})
        """
    )
    missing = [column.source_name for column, found in zip(required, is_there, strict=True) if not found]
    if readable_count and missing:
        raise UnreadableFile(
            f"{file.label}: required column missing: {', '.join(missing)}. No record has it. "
            f"Add it to the file, or correct {file.feed.declaration.name}."
        )
    records = _numbered_lines(source, 0)
    number, lines = NUMBERED_AS_READ, f"select line from {_lines(source, 0)} where line is not null"
    if readable_count < record_count:
        numbered = f"select _record_number, raw_text as line from ({records})"
        number, lines = "_record_number", f"select * from ({numbered}) where {JSON_IS_OBJECT}"
    paths = ", ".join(quote_text(column.path) for column in columns)
    values = {column.name: f"nullif(found[{i}], '')" for i, column in enumerate(columns, start=1)}
    known: dict = {}
    for keys in [*(column.keys for column in columns), *([name] for name in file.feed.dropped)]:
        inner = known
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = None
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
        new_columns=() if file.feed.extra == ANY else None,
    )


@dataclass(frozen=True)
class _JsonColumn:
    """A declared column and the keys that lead to it."""

    name: str
    source_name: str
    rule: str
    keys: tuple[str, ...]

    @property
    def path(self) -> str:
        return "$" + "".join(f'."{key}"' for key in self.keys)


def _json_columns(file: _File) -> list[_JsonColumn]:
    """Dots lead into an object of JSON; a path of XML is one key, and so is a value beside the records."""
    is_xml = file.feed.format_of(file.body.part.file_name) == "xml"

    def keyed(column: Column, keys: tuple[str, ...]) -> _JsonColumn:
        return _JsonColumn(column.name, column.source_name, column.rule, keys)

    return [
        *(
            keyed(column, (column.source_name,) if is_xml else tuple(column.source_name.split(".")))
            for column in file.feed.columns
        ),
        *(keyed(column, (f"/{column.source_name}",)) for column in file.feed.document_columns),
    ]


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
    at_once, number, everything, rows = _parquet(file)
    return Plan(
        record_count=at_once.record_count,
        readable_count=at_once.record_count,
        rows=at_once.rows,
        records=f"""
            select {number} as _record_number, {number} as line_number, {everything} as raw_text
            from {rows}""",
        refused=NOTHING_REFUSED,
        new_columns=at_once.new_columns,
    )


def _parquet_at_once(file: _File) -> AtOnce:
    return _parquet(file)[0]


def _parquet(file: _File) -> tuple[AtOnce, str, str, str]:
    """How to read it, and SQL: a record's number, the whole record as JSON, the engine's reader."""
    source = quote_text(str(_linked(file)))
    try:
        columns = file.connection.execute(f"describe select * from read_parquet({source})").fetchall()
        (count,) = file.one(f"select sum(num_rows)::bigint from parquet_file_metadata({source})")
    except duckdb.Error as error:
        raise UnreadableFile(f"{file.label}: not readable as Parquet ({error}). Drop a whole copy.") from error
    labels = tuple(name for name, *_ in columns)
    texts = [_parquet_text(name, data_type) for name, data_type, *_ in columns]
    positions = _declared_positions(file, labels)
    floats = [name for name, position in positions.items() if columns[position][1] in ("FLOAT", "DOUBLE")]
    if floats:
        raise UnreadableFile(
            f"{file.label}: {', '.join(floats)} is a column of floats, which do not hold what was meant. "
            f"Write it as DECIMAL or as text."
        )
    values = {name: f"nullif({texts[position]}, '')" for name, position in positions.items()}
    unknown = _undeclared(file, labels, positions)
    extra = _json_object({label: texts[i] for i, label in unknown.items()})
    number, rows = "file_row_number + 1", f"read_parquet({source}, file_row_number = true)"
    at_once = AtOnce(
        rows=f"select {_raw_columns(file, number, values, extra)} from {rows}",
        record_count=count,
        new_columns=_new_columns(file.feed, unknown.values()),
    )
    return at_once, number, _json_object(dict(zip(labels, texts, strict=True))), rows


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


# --- fixed width --------------------------------------------------------------------------------------------


def _plan_fixed_width(file: _File) -> Plan:
    copy, cut = _rewritten(file)
    source, skip = _source(copy), len(file.feed.preamble)
    with _open_text(file) as text:
        _read_preamble(file, text)
    _require_all_lines(file, source, skip, cut)
    records = _numbered_lines(source, skip)
    places = file.feed.fixed_width
    # A sender may trim the blanks at a line's end, and then the last column is optional; else the line was cut.
    name, first, width = places[-1]
    is_trimmed = any(column.name == name and column.rule == "optional" for column in file.feed.columns)
    shortest = first if is_trimmed else first + width - 1
    is_readable = f"length(raw_text) >= {shortest}"
    record_count, readable_count = file.one(f"select count(*), count(*) filter (where {is_readable}) from ({records})")
    values = {name: _characters(first, width) for name, first, width in places}
    gaps = _gaps(places)
    extra = {label: _characters(first, width) for label, first, width in gaps}
    held = f"nullif(json_merge_patch('{{}}', {_json_object(extra)})::varchar, '{{}}')"
    return Plan(
        record_count=record_count,
        readable_count=readable_count,
        rows=f"""
            select {_raw_columns(file, "_record_number", values, held)}
            from (select * from ({records})) where {is_readable}""",
        records=records,
        refused=f"""
            select
                _record_number,
                null::varchar as column_name,
                'line_too_short' as reason_code,
                length(raw_text) || ' characters, expected at least {shortest}' as message
            from ({records}) where not {is_readable}""",
        new_columns=() if file.feed.extra == ANY else None,
        totals=_control_totals(file),
    )


def _characters(first: int, width: int | None) -> str:
    """SQL: a stretch of the line, without the blanks that fill it up; null where there is nothing else."""
    stretch = f"substring(raw_text, {first})" if width is None else f"substring(raw_text, {first}, {width})"
    return f"nullif(trim({stretch}), '')"


def _gaps(places: tuple[tuple[str, int, int], ...]) -> list[tuple[str, int, int | None]]:
    """What lies between and behind the declared columns: kept, so that nothing is lost."""
    gaps: list[tuple[str, int, int | None]] = []
    following = 1
    for _, first, width in places:
        if first > following:
            gaps.append((f"characters {following}-{first - 1}", following, first - following))
        following = first + width
    return [*gaps, (f"characters {following}-", following, None)]


# --- what the formats share ---------------------------------------------------------------------------------


def _undeclared(file: _File, labels: tuple[str, ...], positions: dict[str, int]) -> dict[int, str]:
    """Columns of the file that the feed neither declares nor drops, by position."""
    dropped = {snake_case(name) for name in file.feed.dropped}
    return {
        i: label for i, label in enumerate(labels) if i not in positions.values() and snake_case(label) not in dropped
    }


def _raw_columns(file: _File, number: str, values: dict[str, str], extra: str) -> str:
    """SQL: the select list of a plan's rows. A column that the file lacks is null."""
    known = values | {name: quote_text(value) for name, value in file.found.items() if value is not None}
    raw = [f"{known.get(name, 'null::varchar')} as {quote_name(name)}" for name in file.feed.column_names]
    return ", ".join([f"{number} as _record_number", *raw, f"{extra} as _extra_columns"])


def _json_object(values: dict[str, str]) -> str:
    """SQL: a JSON object of label -> value as text; null where there is nothing to hold."""
    if not values:
        return "null::varchar"
    members = ", ".join(f"{quote_text(label)}, {value}" for label, value in values.items())
    return f"json_object({members})::varchar"


def _require_all_lines(file: _File, source: str, skip: int, cut: int = 0) -> None:
    """The engine must see the lines that Python counted, but for those `cut` from its copy, no more and no less."""
    try:
        (line_count,) = file.one(f"select count(*) + {skip + cut} from {_lines(source, skip)}")
    except duckdb.Error as error:
        first_line = str(error).partition("\n")[0]  # what follows quotes the line, however long it is
        raise UnreadableFile(
            f"{file.label}: {first_line}. Nothing of it is loaded; a line may have at most 2 MB."
        ) from error
    if line_count != file.seen.line_count:
        raise UnreadableFile(
            f"{file.label}: {file.seen.line_count} lines in the file, but the engine sees {line_count}. "
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


def _source(*paths: Path) -> str:
    named = ", ".join(quote_text(str(path)) for path in paths)
    return f"[{named}], compression = {quote_text('gzip' if is_zipped(paths[0]) else 'none')}"


def _linked(file: _File) -> Path:
    """A link to the file under a name without the signs (`*`, `?`, `[`) that the engine would expand."""
    link = file.scratch / ("original.gz" if is_zipped(file.body.path) else "original")
    if not link.is_symlink():
        link.symlink_to(file.body.path.resolve())
    return link


def _rewritten(file: _File) -> tuple[Path, int]:
    """A copy in UTF-8 with \\n at each line's end and without trailer, for what the engine cannot read as it lies,
    and the number of lines that were cut from its end."""
    copy = file.scratch / "rewritten"
    with (
        _open_text(file) as original,
        copy.open("w", encoding="utf-8", newline="\n") as text,
    ):
        tail, cut = "", 0
        while chunk := original.read(CHUNK_BYTES):
            tail += chunk
            text.write(tail[:-TAIL_CHARACTERS])
            tail = tail[-TAIL_CHARACTERS:]
        if file.feed.trailer:
            tail, cut = _without_trailer(file, tail)
        text.write(tail)
    return copy, cut


def _without_trailer(file: _File, tail: str) -> tuple[str, int]:
    """A file's end without its trailer and the blank lines behind it, and how many lines these are."""
    lines = tail.removesuffix("\n").split("\n")
    line_count = len(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    blank_count = line_count - len(lines)
    patterns = file.feed.trailer
    if len(lines) < len(patterns):
        raise UnreadableFile(f"{file.label}: it lacks the trailer that {file.feed.declaration.name} declares.")
    for pattern, line in zip(patterns, lines[-len(patterns) :], strict=True):
        _match_around(file, pattern, line, "the end", "trailer")
    kept = lines[: -len(patterns)]
    return "".join(f"{line}\n" for line in kept), len(patterns) + blank_count


def _code_point(character: str) -> str:
    """A character as a pattern writes it, whatever it means there."""
    return f"\\x{{{ord(character):x}}}"
