"""Lines: a text as the engine reads it line by line, and what its lines say before and after the records.

Belongs here: what CSV, JSON Lines and fixed width share: copies that the engine can read, numbered lines, preamble,
trailer, control totals. Does not belong here: what a line is made of (`csv_reader.py` and its neighbours).
"""

import io
import re
from pathlib import Path

import duckdb

from orchestration.feeds.plans import File
from orchestration.feeds.surveying import NO_DELIMITER
from orchestration.feeds.unpacking import UnreadableFile, is_zipped, open_bytes
from orchestration.sql import quote_text

CHUNK_CHARACTERS = 1 << 17
TAIL_CHARACTERS = 1 << 16  # where a trailer is looked for


def open_text(file: File) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_bytes(file.body.path), encoding=file.encoding, newline=None)


def read_preamble(file: File, text: io.TextIOWrapper) -> None:
    for number, pattern in enumerate(file.feed.preamble, start=1):
        _match_around(file, pattern, text.readline().rstrip("\n"), f"line {number}", "preamble")


def _match_around(file: File, pattern: re.Pattern[str], line: str, place: str, key: str) -> None:
    """Keeps what a line before or after the records names."""
    match = pattern.fullmatch(line)
    if match is None:
        raise UnreadableFile(
            f"{file.label}: {place} is {line[:80]!r}, but `{key}` of {file.feed.declaration.name} expects "
            f"{pattern.pattern!r}. The file is cut short, or of another layout."
        )
    file.found.update(match.groupdict())


def control_totals(file: File) -> dict[str, tuple[str, str]]:
    """What the lines around the records say that these add up to."""
    return {name: (file.found.get(name) or "", adds_up) for name, adds_up in file.feed.control_totals}


def rewritten(file: File) -> tuple[Path, int]:
    """A copy in UTF-8 with \\n at each line's end and without trailer, for what the engine cannot read as it lies,
    and the number of lines that were cut from its end."""
    copy = file.scratch / "rewritten"
    with (
        open_text(file) as original,
        copy.open("w", encoding="utf-8", newline="\n") as text,
    ):
        tail, cut = "", 0
        while chunk := original.read(CHUNK_CHARACTERS):
            tail += chunk
            text.write(tail[:-TAIL_CHARACTERS])
            tail = tail[-TAIL_CHARACTERS:]
        if file.feed.trailer:
            tail, cut = _without_trailer(file, tail)
        text.write(tail)
    return copy, cut


def _without_trailer(file: File, tail: str) -> tuple[str, int]:
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


def source_of(*paths: Path) -> str:
    named = ", ".join(quote_text(str(path)) for path in paths)
    return f"[{named}], compression = {quote_text('gzip' if is_zipped(paths[0]) else 'none')}"


def require_all_lines(file: File, source: str, skip: int, cut: int = 0) -> None:
    """The engine must see the lines that Python counted, but for those `cut` from its copy, no more and no less."""
    try:
        (line_count,) = file.one(f"select count(*) + {skip + cut} from {lines_of(source, skip)}")
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


def numbered_lines(source: str, skip: int) -> str:
    """SQL: one record per line that is not blank, in the file's order."""
    return f"""
        select row_number() over () as _record_number, line_number, line as raw_text
        from (select row_number() over () + {skip} as line_number, line from {lines_of(source, skip)})
        where line is not null"""


def lines_of(source: str, skip: int) -> str:
    """SQL: the lines of a text as `line`; null for a blank one."""
    return read_csv(source, {"line": "VARCHAR"}, skip, NO_DELIMITER, "")


def read_csv(source: str, columns: dict[str, str], skip: int, delimiter: str, quote: str) -> str:
    """SQL: the engine's strict CSV reader, told everything. An empty value is null."""
    types = ", ".join(f"{quote_text(name)}: {quote_text(type_name)}" for name, type_name in columns.items())
    return (
        f"read_csv({source}, auto_detect = false, header = false, skip = {skip}, columns = {{{types}}}, "
        f"nullstr = '', delim = {quote_text(delimiter)}, quote = {quote_text(quote)}, "
        f"escape = {quote_text(quote)})"
    )
