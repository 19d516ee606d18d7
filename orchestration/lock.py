"""One run at a time: who works on a warehouse holds its lock from the first step to the last. Readers share it.

Belongs here: locks. Does not belong here: what a run does. DuckDB itself refuses a second writer, but only while the
first has the file open; between two steps of a run another one would slip in and fail in the middle.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from orchestration.settings import Home

POLL_SECONDS = 1
_held: set[Path] = set()


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Holds a lock for a moment; who comes meanwhile waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class WarehouseBusy(Exception):
    """Another process works on this warehouse. The message says which, since when, and what to do."""


@contextmanager
def only_run(home: Home, wait_seconds: float = 0, tell: Callable[[str], None] = lambda message: None) -> Iterator[None]:
    """Holds the lock of a home. The operating system frees it when the process ends, in whatever way.

    Within one process it may be taken again. Raises WarehouseBusy after `wait_seconds`; `tell` is called once
    before waiting begins.
    """
    path = _path(home)
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        _acquire(lock, path, fcntl.LOCK_EX, wait_seconds, tell)
        _held.add(path)
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}))
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)
            _held.discard(path)


@contextmanager
def no_run(home: Home) -> Iterator[None]:
    """No run begins meanwhile, so that what is read belongs together. Readers do not mind one another.

    Raises WarehouseBusy where a run is under way: between two of its steps the file is free, and half done.
    """
    path = _path(home)
    with path.open("a+") as lock:
        _acquire(lock, path, fcntl.LOCK_SH)
        yield


def why_busy(home: Home, refusal: Exception) -> str:
    """What to say where DuckDB refuses the file of a warehouse: a run holds it, or a program that is none of ours."""
    try:
        with no_run(home):
            return f"the warehouse is in use by another program; try again later ({refusal})"
    except WarehouseBusy as busy:
        return str(busy)


def _path(home: Home) -> Path:
    return home.warehouse.with_suffix(".lock")


def _acquire(
    lock: IO[str], path: Path, kind: int, wait_seconds: float = 0, tell: Callable[[str], None] = lambda message: None
) -> None:
    give_up_at, told = time.monotonic() + wait_seconds, False
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            message = f"another run holds the warehouse ({_holder(path)})"
            if time.monotonic() >= give_up_at:
                raise WarehouseBusy(f"{message}; try again when it is done") from None
            if not told:
                tell(f"{message}; waiting until it is done")
                told = True
            time.sleep(min(POLL_SECONDS, max(give_up_at - time.monotonic(), 0)))


def _holder(path: Path) -> str:
    """Who wrote the lock. Between taking it and saying so a moment may pass."""
    for _ in range(10):
        try:
            holder = json.loads(path.read_text())
            return f"process {holder['pid']}, since {holder['since']}"
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    return "just started"
