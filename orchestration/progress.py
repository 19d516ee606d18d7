"""What a person sees while a run is under way: a line for each verb as it ends, and what is being worked on now.

Belongs here: turning Dagster's events into lines. Does not belong here: the summary of the result (`summary.py`).
"""

import logging
import time
from collections import Counter

import dagster as dg
from rich.console import Console
from rich.status import Status


def verb_of(key: dg.AssetKey) -> str:
    """The first word of a key; the booked postings are read before anything is staged, so they count to ingest."""
    return "ingest" if key.path[0] == "ledger" else key.path[0]


class ProgressHandler(logging.Handler):
    """Counts assets per verb; prints a verb when the last of its assets is done, and shows the newest meanwhile."""

    def __init__(self, expected: Counter[str], console: Console) -> None:
        super().__init__()
        self.expected, self.done, self.console = expected, Counter(), console
        self.started_at = time.monotonic()
        self.status = Status("starting", console=console)

    def emit(self, record: logging.LogRecord) -> None:
        facts = getattr(record, "dagster_meta", {})
        event = facts.get("dagster_event")
        if event is None:
            # Steps warn of single files and rows; what is worse is told by the failure of its step.
            if record.levelno == logging.WARNING:
                self._say("yellow", facts.get("orig_message") or record.getMessage())
        elif event.is_step_materialization:
            self._materialized(event.asset_key)
        elif event.is_step_failure and "CheckFailed" not in (event.step_failure_data.error.cls_name or ""):
            # What a gate found is told at the end, in its own words.
            error = event.step_failure_data.error
            self._say("red", f"{event.step_key}: {error.cause.message if error.cause else error.message}".strip())

    def _say(self, style: str, text: str) -> None:
        self.console.print(f"  {text}", style=style, highlight=False, markup=False, soft_wrap=True)

    def _materialized(self, key: dg.AssetKey) -> None:
        verb = verb_of(key)
        self.done[verb] += 1
        self.status.update(f"{verb}  {key.path[-1]}")
        if self.done[verb] == self.expected[verb]:
            seconds = time.monotonic() - self.started_at
            self.console.print(f"  {verb:<10} {self.done[verb]:>3} done   {seconds:5.0f} s", highlight=False)


_handler: ProgressHandler | None = None


def watch(expected: Counter[str], console: Console) -> ProgressHandler:
    """The handler to which `progress_logger` of the next run in this process reports."""
    global _handler
    _handler = ProgressHandler(expected, console)
    return _handler


@dg.logger(description="Lines for a person at a terminal.")
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("tollgate")
    logger.addHandler(_handler or logging.NullHandler())
    return logger
