"""Fixed width: lines whose columns stand at declared places.

Belongs here: cutting a line at its places, and what lies between them. Does not belong here: what all texts share
(`lines.py`).
"""

from orchestration.feeds import ANY
from orchestration.feeds.lines import (
    control_totals,
    numbered_lines,
    open_text,
    read_preamble,
    require_all_lines,
    rewritten,
    source_of,
)
from orchestration.feeds.plans import File, Plan, json_object, raw_columns


def plan(file: File) -> Plan:
    copy, cut = rewritten(file)
    source, skip = source_of(copy), len(file.feed.preamble)
    with open_text(file) as text:
        read_preamble(file, text)
    require_all_lines(file, source, skip, cut)
    records = numbered_lines(source, skip)
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
    held = f"nullif(json_merge_patch('{{}}', {json_object(extra)})::varchar, '{{}}')"
    return Plan(
        record_count=record_count,
        readable_count=readable_count,
        rows=f"""
            select {raw_columns(file, "_record_number", values, held)}
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
        totals=control_totals(file),
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
