"""CSV: at once where the survey vouches for each line, else record by record.

Belongs here: the header, the dialect, what a record looks like and what is wrong with one that does not. Does not
belong here: counting and cutting bytes (`surveying.py`), what all texts share (`lines.py`).
"""

import codecs
import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestration.feeds import CsvDialect
from orchestration.feeds.lines import (
    control_totals,
    numbered_lines,
    open_text,
    read_csv,
    read_preamble,
    require_all_lines,
    rewritten,
    source_of,
)
from orchestration.feeds.plans import (
    NUMBERED_AS_READ,
    AtOnce,
    File,
    Plan,
    declared_positions,
    json_object,
    linked,
    new_columns,
    raw_columns,
    undeclared,
)
from orchestration.feeds.surveying import ENCODINGS_OF_THE_ENGINE, NO_DELIMITER, Piece, Shape
from orchestration.feeds.unpacking import GZIP_ERRORS, UnreadableFile, damaged, open_bytes
from orchestration.sql import quote_text


def shape(file: File) -> Shape | None:
    """What each line must look like for the body to be read at once; None where it needs more looking."""
    dialect, feed = file.dialect, file.feed
    is_single_bytes = all(len(mark.encode()) <= 1 for mark in (dialect.delimiter, dialect.quote))
    is_bare = not (dialect.multiline or feed.trailer or feed.control_totals)
    if file.encoding not in ENCODINGS_OF_THE_ENGINE or not is_bare or not is_single_bytes:
        return None
    try:
        labels, skip = _header(file)
    except UnreadableFile:
        return None  # `plan` finds it too, and says it in the ledger
    if skip == 0 and _begins_with_byte_order_mark(file.body.path):
        return None
    return Shape(len(labels), dialect.delimiter.encode(), dialect.quote.encode(), skip)


def read_at_once(file: File) -> AtOnce:
    """Each thread of the engine reads some of the pieces, one after the other, and numbers as it reads."""
    layout = _layout(file)
    pieces = file.seen.pieces
    (thread_count,) = file.one("select current_setting('threads')")
    shares = [
        pieces[len(pieces) * i // thread_count : len(pieces) * (i + 1) // thread_count] for i in range(thread_count)
    ]
    reads, before = [], 0
    for share in filter(None, shares):
        number = f"{before} + row_number() over ()"
        reads.append(f"select {layout.columns(file, number)} from {layout.fields_of_pieces(share)}")
        before += sum(piece.record_count for piece in share)
    return AtOnce(
        rows=" union all ".join(reads),
        record_count=before,
        new_columns=new_columns(file.feed, layout.unknown.values()),
        may_lack_values=not file.seen.is_without_blanks,
    )


def plan(file: File) -> Plan:
    dialect, layout = file.dialect, _layout(file)
    is_as_it_lies = file.encoding in ENCODINGS_OF_THE_ENGINE and file.seen.is_uniform
    cut = 0
    if is_as_it_lies and not dialect.multiline and not file.feed.trailer:
        source = source_of(linked(file))
    else:
        copy, cut = rewritten(file)
        source = source_of(copy)
    if dialect.multiline:
        records = _records_across_lines(file, layout)
    else:
        require_all_lines(file, source, layout.skip, cut)
        records = numbered_lines(source, layout.skip)
    is_readable = f"regexp_full_match(raw_text, {quote_text(layout.record_pattern)})"
    record_count, readable_count = file.one(f"select count(*), count(*) filter (where {is_readable}) from ({records})")
    number, fields = NUMBERED_AS_READ, layout.fields(source)
    if readable_count < record_count:
        copy = _copy_of_readable(file, layout, f"select * from ({records}) where {is_readable}")
        number, fields = "_record_number", layout.fields_of_copy(copy)
    return Plan(
        record_count=record_count,
        readable_count=readable_count,
        rows=f"select {layout.columns(file, number)} from {fields}",
        records=records,
        refused=_refused(layout, f"select * from ({records}) where not {is_readable}"),
        new_columns=new_columns(file.feed, layout.unknown.values()),
        totals=control_totals(file),
    )


@dataclass(frozen=True)
class _Layout:
    """A CSV file's dialect, the labels of its columns, and the number of lines before its first record.

    positions: of the declared columns; unknown: labels of the others, by position.
    """

    dialect: CsvDialect
    labels: tuple[str, ...]
    skip: int
    positions: dict[str, int]
    unknown: dict[int, str]

    def columns(self, file: File, number: str) -> str:
        """SQL: the select list of raw columns over the fields."""
        values = {name: f"c{position}" for name, position in self.positions.items()}
        extra = json_object({label: f"c{position}" for position, label in self.unknown.items()})
        return raw_columns(file, number, values, extra)

    def fields(self, source: str) -> str:
        """SQL: the fields `c0`, `c1`, ... as the engine's strict reader sees them."""
        return self._read(source, {}, self.skip)

    def fields_of_pieces(self, pieces: Iterable[Piece]) -> str:
        """SQL: the same of these pieces, one after the other."""
        return self._read(source_of(*(piece.path for piece in pieces)), {}, 0)

    def fields_of_copy(self, copy: Path) -> str:
        """SQL: the same of a copy without header, each record behind its number."""
        return self._read(source_of(copy), {"_record_number": "BIGINT"}, 0)

    def _read(self, source: str, leading: dict[str, str], skip: int) -> str:
        columns = leading | {f"c{position}": "VARCHAR" for position in range(len(self.labels))}
        return read_csv(source, columns, skip, self.dialect.delimiter, self.dialect.quote)

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


def _layout(file: File) -> _Layout:
    """By the file's header. Raises UnreadableFile where a required column is missing."""
    labels, skip = _header(file)
    positions, unique = declared_positions(file, labels), _unique(labels)
    return _Layout(file.dialect, unique, skip, positions, undeclared(file, unique, positions))


def _begins_with_byte_order_mark(path: Path) -> bool:
    with open_bytes(path) as stream:
        return stream.read(3) == codecs.BOM_UTF8


def _header(file: File) -> tuple[tuple[str, ...], int]:
    """Labels of the columns in the file's order, and the number of lines up to the first record.

    On the way the lines before the header are held against the preamble, and what they name is kept.
    """
    dialect, preamble = file.dialect, file.feed.preamble
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    try:
        with open_text(file) as text:
            read_preamble(file, text)
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
        raise damaged(file.body, error) from error
    if labels is None:
        raise UnreadableFile(f"{file.label}: the file has only blank lines. Drop it again with its content.")
    return tuple(label.strip() for label in labels), len(preamble) + reader.line_num


def _unique(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels that are blank or repeated get their position, so that no value hides behind another."""
    count = Counter(labels)
    return tuple(
        label if label and count[label] == 1 else f"{label}#{position}"
        for position, label in enumerate(labels, start=1)
    )


def _records_across_lines(file: File, layout: _Layout) -> str:
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


def _copy_of_readable(file: File, layout: _Layout, readable: str) -> Path:
    """A copy without the records that cannot be read; each of the others behind its number."""
    copy = file.scratch / "readable"
    file.connection.execute(
        f"""
        copy (select _record_number || {quote_text(layout.dialect.delimiter)} || raw_text from ({readable}))
        to {quote_text(str(copy))} (format csv, header false, delimiter '{NO_DELIMITER}', quote '', escape '')
        """
    )
    return copy


def _refused(layout: _Layout, unreadable: str) -> str:
    delimiter = _code_point(layout.dialect.delimiter)
    found = f"len(regexp_extract_all(raw_text, {quote_text(f'(?:^|{delimiter}){layout.field_pattern}')}))"
    is_ragged = f"regexp_full_match(raw_text, {quote_text(layout.ragged_pattern)})"
    return f"""
        select
            _record_number,
            null::varchar as column_name,
            if({is_ragged}, 'wrong_column_count', 'unreadable_row') as reason_code,
            if({is_ragged}, {found} || if({found} = 1, ' column', ' columns') || ', expected {len(layout.labels)}',
                'a quote is not closed, or text follows a closing quote') as message
        from ({unreadable})"""


def _code_point(character: str) -> str:
    """A character as a pattern writes it, whatever it means there."""
    return f"\\x{{{ord(character):x}}}"
