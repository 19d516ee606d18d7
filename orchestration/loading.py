"""Loading: files of the landing to raw tables, exactly once, nothing lost.

Belongs here: one file after the other, and the transaction around each. Does not belong here: which files there are
(`landing.py`), what is known of them (`file_ledger.py`), the SQL that moves their rows (`records.py`), what lies
inside a file (`feeds/unpacking.py`), how a format is read (`feeds/readers.py`), Dagster (`ingest.py`).

One file, or one member of a zip, or one sheet of a workbook, is one transaction: its rows, its quarantine and its line
in the ledger stand or fall together, so a killed run is simply repeated.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from orchestration import file_ledger, records
from orchestration.feeds import Feed, readers, unpacking
from orchestration.feeds.readers import AtOnce, Plan
from orchestration.feeds.unpacking import Body, Part, UnreadableFile
from orchestration.file_ledger import Arrival, FileLoad, utc_now
from orchestration.landing import signature_of, sort_out, still_growing, written_at
from orchestration.sql import transaction

MESSAGE_CHARACTERS = 1000  # the engine may quote a whole line of the file


class LandingMissing(Exception):
    """The landing folder does not exist. The message says what to do."""


@dataclass(frozen=True)
class FeedLoad:
    """What one call of `load_feed` did, file by file, and which paths of the landing, in the feed's folder, it left
    alone."""

    feed: Feed
    files: tuple[FileLoad, ...]
    unclaimed: tuple[Path, ...]

    def _count(self, outcome: str) -> int:
        return sum(file.outcome == outcome for file in self.files)

    @property
    def files_loaded(self) -> int:
        return self._count("loaded")

    @property
    def files_skipped(self) -> int:
        return self._count("skipped")

    @property
    def files_duplicate(self) -> int:
        return self._count("duplicate")

    @property
    def files_failed(self) -> int:
        return self._count("failed")

    @property
    def files_waiting(self) -> int:
        return self._count("waiting")

    @property
    def rows_loaded(self) -> int:
        return sum(file.loaded_count for file in self.files)

    @property
    def rows_quarantined(self) -> int:
        return sum(file.quarantined_count for file in self.files)

    @property
    def messages(self) -> tuple[str, ...]:
        """What a person should read: failures, quarantines, duplicates and files that no pattern claims."""
        told = [f"{self.feed.folder}/{file.message}" for file in self.files if file.message]
        return (
            *told,
            *(f"{path}: no pattern of {self.feed.declaration.name} claims it" for path in self.unclaimed),
        )


def load_feed(
    connection: duckdb.DuckDBPyConnection,
    feed: Feed,
    landing: Path,
    clock: Callable[[], datetime] = utc_now,
    is_wanted: Callable[[Path], bool] = lambda path: True,
) -> FeedLoad:
    """Loads each wanted file of the feed that is not loaded yet, in the order in which they were written.

    A file that fails is recorded and does not stop the others; the next call tries it again. One that changes while
    it is watched is left for the next call. Raises LandingMissing where there is no such folder; a feed without files
    loads nothing.
    """
    if not landing.is_dir():
        raise LandingMissing(
            f"There is no landing folder {landing}. Create it and drop files into <kind>/<feed>/, as "
            f"docs/landing.md says, or set TOLLGATE_HOME to the folder that holds your landing/."
        )
    file_ledger.prepare(connection, (feed,))
    file_ledger.forget_failures_of_files_that_are_gone(connection, feed, landing / feed.folder)
    known = file_ledger.known_files(connection, feed)
    claimed, left_alone = sort_out(feed, landing / feed.folder)
    # The file written last is loaded last: of two versions it is the one that counts.
    wanted = sorted((path for path in claimed if is_wanted(path)), key=written_at)
    growing = still_growing(wanted)
    loads: list[FileLoad] = []
    with scratch_folder(connection) as scratch:
        for path in wanted:
            if path in growing:
                loads.append(FileLoad(path.name, "waiting", message=growing[path]))
            else:
                loads += _load_unless_known(connection, feed, path, clock, known, scratch)
    inner = [path / name for path in wanted for name in unpacking.left_alone(feed, path)]
    return FeedLoad(feed, tuple(loads), tuple(path.relative_to(landing) for path in (*left_alone, *inner)))


def _load_unless_known(
    connection: duckdb.DuckDBPyConnection,
    feed: Feed,
    path: Path,
    clock: Callable[[], datetime],
    known: set[tuple[str, int, datetime]],
    scratch: Path,
) -> list[FileLoad]:
    try:
        path.name.encode()
        signature = signature_of(path)
    except FileNotFoundError:
        return [FileLoad(path.name, "failed", message=f"{path.name}: it was taken away before it was read")]
    except UnicodeEncodeError:
        name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return [FileLoad(name, "failed", message=f"{name}: its name is not UTF-8. Rename the file.")]
    if signature in known:
        return [FileLoad(path.name, "skipped")]
    _, size_bytes, modified_at = signature
    arrival = Arrival(feed, Part(path), size_bytes, modified_at, clock(), time.monotonic())
    try:
        parts = unpacking.parts(feed, path, scratch)
    except Exception as error:
        return [_note_failure(connection, arrival, error)]
    file_ledger.forget_failures_of_parts_that_are_gone(connection, feed, path, parts)
    arrival = replace(arrival, part_count=len(parts))
    return [
        _load_part(
            connection, replace(arrival, part=part, loaded_at=clock(), started_seconds=time.monotonic()), scratch
        )
        for part in parts
    ]


def _load_part(connection: duckdb.DuckDBPyConnection, arrival: Arrival, scratch: Path) -> FileLoad:
    try:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            body = unpacking.body(arrival.feed, arrival.part, Path(folder))
            return _load_body(connection, arrival, body, Path(folder))
    except Exception as error:  # whatever a file does to a library, the other files go on
        return _note_failure(connection, arrival, error)
    finally:
        records.drop_incoming(connection)


def _load_body(connection: duckdb.DuckDBPyConnection, arrival: Arrival, body: Body, scratch: Path) -> FileLoad:
    feed = arrival.feed
    seen = readers.survey(feed, body, readers.shape(connection, feed, body, scratch), scratch)
    arrival = replace(arrival, bytes_hash=seen.bytes_hash, content_hash=body.identity(seen.bytes_hash))
    if file_ledger.is_newest_version(connection, arrival):
        return file_ledger.touch(connection, arrival)
    if file_ledger.is_loaded(connection, arrival.file_id):
        # An earlier version comes back after another one: it counts again, so it is a version of its own.
        arrival = replace(arrival, return_number=file_ledger.version_of(connection, arrival))
    twin = file_ledger.loaded_twin(connection, arrival)
    if twin is not None:
        return _note_known_content(connection, arrival, *twin)
    at_once = readers.read_at_once(connection, feed, body, seen, scratch)
    if at_once is not None:
        with suppress(_NotVouchedFor, duckdb.Error):
            return _load_at_once(connection, arrival, at_once)
    return _load_with_care(connection, arrival, readers.plan(connection, feed, body, seen, scratch))


class _NotVouchedFor(Exception):
    """What was read at once is not shown to be all of the file: nothing of it stays, and it is read with more care."""


def _load_at_once(connection: duckdb.DuckDBPyConnection, arrival: Arrival, at_once: AtOnce) -> FileLoad:
    """Rows go straight to their table; the engine must see as many as were counted."""
    with transaction(connection), _in_any_order(connection):
        loaded_count = records.insert_rows(connection, arrival, f"({at_once.rows})", "_record_number", judged=False)
        if loaded_count != at_once.record_count:
            raise _NotVouchedFor
        if at_once.may_lack_values and records.lacks_values(connection, arrival):
            raise _NotVouchedFor
        arrival.require_unchanged()
        load = FileLoad(arrival.label, "loaded", loaded_count)
        load = file_ledger.with_message(connection, arrival, load, at_once.new_columns)
        file_ledger.write_line(connection, arrival, load)
    return load


@contextmanager
def _in_any_order(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Rows that carry their number need not be stored in its order, so all threads may write."""
    connection.execute("set preserve_insertion_order = false")
    try:
        yield
    finally:
        connection.execute("set preserve_insertion_order = true")


def _load_with_care(connection: duckdb.DuckDBPyConnection, arrival: Arrival, plan: Plan) -> FileLoad:
    """Every record is judged by itself: what cannot be read goes to quarantine."""
    label = arrival.label
    records.read_incoming(connection, arrival, plan)
    with transaction(connection):
        loaded_count = records.insert_rows(connection, arrival, "temp.incoming", records.NUMBER)
        quarantined_count = 0
        if loaded_count < plan.record_count:
            quarantined_count = records.insert_quarantine(connection, arrival, plan)
        if loaded_count + quarantined_count != plan.record_count:
            raise UnreadableFile(
                f"{label}: of {plan.record_count} records {loaded_count} would be loaded and "
                f"{quarantined_count} be in quarantine. Nothing of it is loaded."
            )
        arrival.require_unchanged()
        totals, difference = records.compare_totals(connection, arrival, plan, quarantined_count)
        load = FileLoad(label, "loaded", loaded_count, quarantined_count, difference, control_totals=totals)
        load = file_ledger.with_message(connection, arrival, load, records.new_columns(connection, arrival.feed, plan))
        file_ledger.write_line(connection, arrival, load)
    return load


def _note_failure(connection: duckdb.DuckDBPyConnection, arrival: Arrival, error: Exception) -> FileLoad:
    told = str(error)
    if not isinstance(error, UnreadableFile):
        expected = isinstance(error, OSError | duckdb.Error)
        told = f"{arrival.label}: {error}" if expected else f"{arrival.label}: {type(error).__name__}: {error}"
    message = told if len(told) <= MESSAGE_CHARACTERS else f"{told[:MESSAGE_CHARACTERS]} ..."
    load = FileLoad(arrival.label, "failed", message=message)
    with transaction(connection):
        file_ledger.write_line(connection, arrival, load)
    return load


def _note_known_content(
    connection: duckdb.DuckDBPyConnection, arrival: Arrival, twin_id: str, twin_name: str
) -> FileLoad:
    """Content that another name, or another packing, brought already: recorded once, not loaded again."""
    message = f"{arrival.label}: has the content of {twin_name}; not loaded again"
    load = FileLoad(arrival.label, "duplicate", message=message)
    with transaction(connection):
        file_ledger.write_line(connection, arrival, load, duplicate_of=twin_id)
    return load


@contextmanager
def scratch_folder(connection: duckdb.DuckDBPyConnection) -> Iterator[Path]:
    """A folder for copies, beside the warehouse: there is the room for them, which /tmp may lack.

    Who may write the warehouse holds it alone, so what lies there is what a killed run left.
    """
    (warehouse,) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone()
    if warehouse is None:  # in memory
        with tempfile.TemporaryDirectory(prefix="tollgate-") as folder:
            yield Path(folder)
        return
    folder = Path(f"{warehouse}.scratch")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
