"""JSON Lines: one object per line, as a sender wrote it or as `unpacking.py` made it of an envelope or of XML.

Belongs here: which keys lead to a column, what is no object, and numbers that keep their digits. Does not belong here:
opening an envelope (`unpacking.py`), what all texts share (`lines.py`).
"""

import json
from dataclasses import dataclass

from orchestration.feeds import ANY, Column
from orchestration.feeds.lines import lines_of, numbered_lines, require_all_lines, rewritten, source_of
from orchestration.feeds.plans import NUMBERED_AS_READ, File, Plan, linked, raw_columns
from orchestration.feeds.unpacking import UnreadableFile
from orchestration.sql import quote_text

FRACTION = r"[:,\[]\s*-?([0-9]+[.eE]|[0-9]{19})"
UP_TO_NUMBER = r'((?:"(?:[^"\\]|\\.)*"|[^"0-9-])*)(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)'


def is_json_object(text: str) -> str:
    """SQL: is this column one object of JSON? False for null and for what is no JSON."""
    return f"coalesce(case when json_valid({text}) then json_type({text}) end = 'OBJECT', false)"


IS_OBJECT = is_json_object("line")


def plan(file: File) -> Plan:
    source = source_of(linked(file) if file.seen.is_uniform else rewritten(file)[0])
    require_all_lines(file, source, 0)
    columns = _keyed_columns(file)
    required = [column for column in columns if column.rule != "optional"]
    seen = ", ".join(f"coalesce(bool_or(json_exists(line, {quote_text(column.path)})), false)" for column in required)
    record_count, readable_count, *is_there = file.one(
        f"""
        select count(line), count(line) filter (where {IS_OBJECT}){", " if required else ""}{seen}
        from (select if({IS_OBJECT}, line, if(line is null, null, '[]')) as line from {lines_of(source, 0)})
        """
    )
    missing = [column.source_name for column, found in zip(required, is_there, strict=True) if not found]
    if readable_count and missing:
        raise UnreadableFile(
            f"{file.label}: required column missing: {', '.join(missing)}. No record has it. "
            f"Add it to the file, or correct {file.feed.declaration.name}."
        )
    records = numbered_lines(source, 0)
    number, lines = NUMBERED_AS_READ, f"select line from {lines_of(source, 0)} where line is not null"
    if readable_count < record_count:
        numbered = f"select _record_number, raw_text as line from ({records})"
        number, lines = "_record_number", f"select * from ({numbered}) where {IS_OBJECT}"
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
            select {raw_columns(file, number, values, extra)}
            from (
                select *, json_extract_string(line, [{paths}]) as found
                from (select * replace ({_with_numbers_as_text("line")} as line) from ({lines}))
            )""",
        records=records,
        refused=f"""
            select
                _record_number,
                null::varchar as column_name,
                'invalid_json' as reason_code,
                if(json_valid(line), 'not a JSON object', 'not valid JSON') as message
            from (select _record_number, raw_text as line from ({records})) where not {IS_OBJECT}""",
        new_columns=() if file.feed.extra == ANY else None,
    )


@dataclass(frozen=True)
class _KeyedColumn:
    """A declared column and the keys that lead to it."""

    name: str
    source_name: str
    rule: str
    keys: tuple[str, ...]

    @property
    def path(self) -> str:
        return "$" + "".join(f'."{key}"' for key in self.keys)


def _keyed_columns(file: File) -> list[_KeyedColumn]:
    """Dots lead into an object of JSON; a path of XML is one key, and so is a value beside the records."""
    is_xml = file.feed.format_of(file.body.part.file_name) == "xml"

    def keyed(column: Column, keys: tuple[str, ...]) -> _KeyedColumn:
        return _KeyedColumn(column.name, column.source_name, column.rule, keys)

    return [
        *(
            keyed(column, (column.source_name,) if is_xml else tuple(column.source_name.split(".")))
            for column in file.feed.columns
        ),
        *(keyed(column, (f"/{column.source_name}",)) for column in file.feed.document_columns),
    ]


def _with_numbers_as_text(line: str) -> str:
    """SQL: the line with each number in quotes, where one has a fraction or an exponent.

    The engine reads such a number as a float and would hand on another text than the sender wrote: `1.10` as
    `1.1`, and of 18 digits only 17. Strings are passed over as wholes; the sentinel ` 0` keeps the last match
    from starting inside one.
    """
    has_fraction = f"regexp_matches({line}, {quote_text(FRACTION)})"
    quoted = f"regexp_replace({line} || ' 0', {quote_text(UP_TO_NUMBER)}, '\\1\"\\2\"', 'g')"
    return f"if({has_fraction}, left({quoted}, -4), {line})"
