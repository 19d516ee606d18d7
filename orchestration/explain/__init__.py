"""Why is it booked so? An event, an invoice line or an entry of the ledger, explained so that a person can follow it:
`tollgate explain`; and what an event that never was would cost: `tollgate price`.

Belongs here: which of them is meant. The explanations themselves are in `event.py`, `line.py`, `posting.py` and
`price.py`; what an explanation is, in `explanation.py`.
"""

from pathlib import Path

import duckdb

from orchestration import models_applied
from orchestration.explain.event import explain_event, find_events
from orchestration.explain.explanation import Explanation, NotExplained, as_json, print_explanation
from orchestration.explain.line import explain_line, find_lines
from orchestration.explain.posting import explain_entry, find_entries
from orchestration.explain.price import explain_price, prices
from orchestration.sql import fetch_rows

__all__ = ["Explanation", "NotExplained", "as_json", "explain", "explain_price", "prices", "print_explanation"]

NEAREST_LINES = """
    select invoice_line_id as id from tollgate.settle.fct_carrier_invoice_lines
    order by jaro_winkler_similarity(invoice_line_id, $meant) desc, invoice_line_id limit 3
"""
# The id, or the source's own key in it.
NEAREST_EVENTS = """
    select event_id as id from tollgate.rate.int_events_rated
    order by greatest(
        jaro_winkler_similarity(event_id, $meant),
        jaro_winkler_similarity(substring(event_id, position(':' in event_id) + 1), $meant)
    ) desc, event_id limit 3
"""


def explain(warehouse: Path, meant: str, mask: bool = False, kind: str | None = None) -> Explanation:
    """Everything that decides the cost of an event, the amount of an invoice line or an entry of the ledger;
    `kind` says which of them is meant.

    An event is named by its id or by the source's own key, a line by its id or by invoice and number, an entry by its
    id or by that of a posting. Nobody may write the warehouse meanwhile. Raises NotExplained where nothing is named so,
    or more than one thing is.
    """
    try:
        with models_applied.engine(warehouse) as connection:
            connection.execute("select 1 from tollgate.ingest.models_applied, tollgate.rate.int_events_rated limit 0")
            return _explain(connection, meant, mask, kind)
    except models_applied.LACKING as error:
        raise NotExplained(models_applied.is_lacking(error)) from error


def _explain(connection: duckdb.DuckDBPyConnection, meant: str, mask: bool, kind: str | None) -> Explanation:
    if (kind in (None, "entry")) and (entries := find_entries(connection, meant)):
        return explain_entry(connection, entries[0])
    events = find_events(connection, meant) if kind in (None, "event") else []
    lines = find_lines(connection, meant) if kind in (None, "line") else []
    if len(events) + len(lines) > 1:
        raise NotExplained(_more_than_one(meant, events, lines))
    if lines:
        return explain_line(connection, lines[0], mask)
    if events:
        return explain_event(connection, events[0], mask)
    raise NotExplained(_nothing(connection, meant, kind))


def _more_than_one(meant: str, events: list[str], lines: list[str]) -> str:
    if events and lines:
        return (
            f"{meant} is an event and an invoice line; say which with --as: "
            f"{', '.join(f'event {event}' for event in events)}, {', '.join(f'line {line}' for line in lines)}"
        )
    if events:
        return f"{len(events)} feeds have an event {meant}; say which one: {', '.join(events)}"
    return f"{len(lines)} carriers have an invoice line {meant}; say which one: {', '.join(lines)}"


def _nothing(connection: duckdb.DuckDBPyConnection, meant: str, kind: str | None) -> str:
    what = {"event": "no event", "line": "no invoice line", "entry": "no entry of the ledger"}.get(
        kind or "", "no event, no invoice line and no entry of the ledger"
    )
    told = [f"there is {what} {meant}"]
    for name, query, other in (
        ("event", NEAREST_EVENTS, "line"),
        ("invoice line", NEAREST_LINES, "event"),
    ):
        nearest = [] if kind in (other, "entry") else _nearest(connection, query, meant)
        if nearest:
            told.append(f"the nearest ids of {name}s are {', '.join(nearest)}")
    return "; ".join(told) + (
        ". An event's id is the feed and the source's own key (rate.int_events_rated has them), a line's the carrier, "
        "the invoice and the line's number (settle.fct_carrier_invoice_lines), an entry's is in "
        "settle.fct_settlement_ledger"
    )


def _nearest(connection: duckdb.DuckDBPyConnection, query: str, meant: str) -> list[str]:
    try:
        return [row["id"] for row in fetch_rows(connection, query, meant=meant)]
    except duckdb.CatalogException:  # nothing was settled here yet
        return []
