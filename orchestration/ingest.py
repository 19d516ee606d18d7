"""Ingest: files of the landing to raw tables, exactly once, nothing lost. One Dagster asset per feed.

Belongs here: the tables of schema `ingest`, the ledger of files, the transaction around one file, its quarantine and
the replay of it, the assets. Does not belong here: what a feed looks like (`feeds/<kind>__<feed>.yml`), what lies
inside a file (`feeds/unpacking.py`), how a format is read (`feeds/readers.py`), the meaning of any value
(`models/stage/`).

One file, or one member of a zip, or one sheet of a workbook, is one transaction: its rows, its quarantine and its line
in the ledger stand or fall together, so a killed run is simply repeated. A file is known by its content, not its name.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb

from orchestration import feeds, settings
from orchestration.feeds import RECORDS, Feed, readers, unpacking
from orchestration.feeds.unpacking import Body, Part, UnreadableFile
from orchestration.resources import POOL, Warehouse
from orchestration.sql import quote_name, quote_text, transaction

UNFINISHED_SUFFIXES = (".tmp", ".part")
MESSAGE_CHARACTERS = 1000  # the engine may quote a whole line of the file
BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
MONEY = "decimal(38, 12)"
NUMBER = "coalesce(_record_number, rowid + 1)"  # of a row of `incoming`: as the plan says, else its place
RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""A disk or a share may be away for a moment; what is wrong with a file is told, not retried."""

LEDGER = """
    create schema if not exists ingest;
    create table if not exists ingest.files (
        file_id varchar primary key,
        kind varchar not null,
        feed varchar not null,
        file_name varchar not null,
        content_hash varchar,
        size_bytes bigint not null,
        modified_at timestamp not null,
        record_count bigint,
        loaded_count bigint not null,
        quarantined_count bigint not null,
        outcome varchar not null check (outcome in ('loaded', 'duplicate', 'failed')),
        message varchar,
        duplicate_of_file_id varchar,
        loaded_at timestamp not null,
        elapsed_seconds decimal(18, 3) not null,
        check (outcome <> 'loaded' or loaded_count + quarantined_count = record_count)
    );
    alter table ingest.files add column if not exists part_name varchar;
    alter table ingest.files add column if not exists part_count integer;
    alter table ingest.files add column if not exists file_version integer;
    alter table ingest.files add column if not exists control_totals varchar;
    alter table ingest.files add column if not exists new_columns varchar;
    create table if not exists ingest.feeds (
        kind varchar not null,
        feed varchar not null,
        decimal_mark varchar not null,
        time_zone varchar,
        international_prefix varchar,
        national_prefix varchar,
        calling_code varchar,
        money_sign integer not null,
        expected_every_hours integer,
        primary key (kind, feed)
    );
    create table if not exists ingest.quarantine (
        file_id varchar not null,
        kind varchar not null,
        feed varchar not null,
        file_name varchar not null,
        line_number bigint,
        column_name varchar,
        reason_code varchar not null,
        message varchar not null,
        raw_text varchar,
        loaded_at timestamp not null
    );
    alter table ingest.quarantine add column if not exists record_number bigint;
    alter table ingest.quarantine add column if not exists at_risk_amount decimal(38, 12);
    alter table ingest.quarantine add column if not exists at_risk_currency varchar;
"""
RAW_METADATA = {
    "_file_id": "varchar",
    "_record_number": "bigint",
    "_loaded_at": "timestamp",
    "_extra_columns": "varchar",
}


class LandingMissing(Exception):
    """The landing folder does not exist. The message says what to do."""


@dataclass(frozen=True)
class FileLoad:
    """What became of one file, or of one part of it. Counts are records.

    outcome: `loaded`, `skipped` (known already), `duplicate` (another name brought this content), `waiting` (it was
    still being written) or `failed`.
    """

    file_name: str
    outcome: str
    loaded_count: int = 0
    quarantined_count: int = 0
    message: str | None = None
    control_totals: str | None = None
    new_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeedLoad:
    """What one call of `load_feed` did, file by file, and which paths in the feed's folder it left alone."""

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


def utc_now() -> datetime:
    """The instant now, UTC, without a zone: as the warehouse keeps instants."""
    return datetime.now(UTC).replace(tzinfo=None)


def prepare(connection: duckdb.DuckDBPyConnection, declared: tuple[Feed, ...] | None = None) -> None:
    """Creates what is missing: ledger, quarantine, and a raw table for each feed, even if no file ever came.

    A column that a declaration gained is added to its table; one that it lost stays, so no value is lost.
    """
    connection.execute(LEDGER)
    declared = feeds.declared() if declared is None else declared
    _declare(connection, declared)
    existing: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = 'ingest'"
    ).fetchall():
        existing.setdefault(table, set()).add(column)
    for feed in declared:
        columns = {name: "varchar" for name in feed.column_names} | RAW_METADATA
        if feed.name not in existing:
            described = ", ".join(f"{quote_name(name)} {data_type}" for name, data_type in columns.items())
            connection.execute(f"create table {_raw_table(feed)} ({described})")
        for name in set(columns) - existing.get(feed.name, set(columns)):
            connection.execute(f"alter table {_raw_table(feed)} add column {quote_name(name)} varchar")


def _declare(connection: duckdb.DuckDBPyConnection, declared: tuple[Feed, ...]) -> None:
    """What the declarations say about values, where staging can read it. Written only where it changed."""
    said = {
        (
            feed.kind,
            feed.feed,
            feed.decimal_mark,
            feed.time_zone,
            feed.phone_numbers.international_prefix,
            feed.phone_numbers.national_prefix,
            feed.phone_numbers.calling_code,
            feed.money.sign,
            feed.expected_every_hours,
        )
        for feed in declared
    }
    for line in said - set(connection.execute("select * from ingest.feeds").fetchall()):
        connection.execute("insert or replace into ingest.feeds values (?, ?, ?, ?, ?, ?, ?, ?, ?)", line)


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
    prepare(connection, (feed,))
    known = _known_files(connection, feed)
    claimed, left_alone = _sort_out(feed, landing / feed.folder)
    # The file written last is loaded last: of two versions it is the one that counts.
    wanted = sorted((path for path in claimed if is_wanted(path)), key=_written_at)
    growing = _still_growing(wanted)
    loads: list[FileLoad] = []
    with _scratch(connection) as scratch:
        for path in wanted:
            if path in growing:
                loads.append(growing[path])
            else:
                loads += _load_unless_known(connection, feed, path, clock, known, scratch)
    inner = [path / name for path in wanted for name in unpacking.left_alone(feed, path)]
    return FeedLoad(feed, tuple(loads), (*left_alone, *inner))


def unclaimed(landing: Path, declared: tuple[Feed, ...] | None = None) -> list[Path]:
    """Files that no declaration claims and, as one path each, folders that no feed has.

    Hidden and unfinished files (`.tmp`, `.part`) are left out, and so are empty folders.
    """
    folders: dict[Path, list[Feed]] = {}
    for feed in feeds.declared() if declared is None else declared:
        folders.setdefault(landing / feed.folder, []).append(feed)
    kinds = {folder.parent for folder in folders}
    left: list[Path] = []
    for path in _visible(landing):
        if path not in kinds:
            left.append(path)
            continue
        for inner in _visible(path):
            # A file is left alone only if none of the feeds that share its folder claims it.
            refused = [set(_sort_out(feed, inner)[1]) for feed in folders.get(inner, [])]
            left += sorted(set.intersection(*refused)) if refused else [inner]
    return left


def ingest_assets() -> list[dg.AssetsDefinition]:
    """One asset per declared feed, key `ingest/<kind>__<feed>`. Needs a resource `warehouse`."""
    return [_ingest_asset(feed) for feed in feeds.declared()]


def _ingest_asset(feed: Feed) -> dg.AssetsDefinition:
    @dg.asset(
        key=["ingest", feed.name],
        group_name="ingest",
        kinds={"duckdb"},
        pool=POOL,
        retry_policy=RETRIES,
        description=feed.description,
    )
    def load(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        started = time.monotonic()
        try:
            with warehouse.connect() as connection:
                prepare(connection)
                result = load_feed(connection, feed, warehouse.home.landing)
        except LandingMissing as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
        for message in result.messages:
            context.log.warning(message)
        return dg.MaterializeResult(metadata=figures(result, time.monotonic() - started))

    return load


def figures(loads: FeedLoad, seconds: float) -> dict[str, object]:
    """What Dagster shows of a load."""
    return {
        "files_loaded": loads.files_loaded,
        "files_skipped": loads.files_skipped,
        "files_duplicate": loads.files_duplicate,
        "files_failed": loads.files_failed,
        "files_waiting": loads.files_waiting,
        "rows_loaded": loads.rows_loaded,
        "rows_quarantined": loads.rows_quarantined,
        "seconds": round(seconds, 3),
        "messages": dg.MetadataValue.md("\n".join(f"- {message}" for message in loads.messages)),
    }


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            "on_time",
            asset=["ingest", feed.name],
            description=f"A file should come every {feed.expected_every_hours} hours, as {feed.declaration.name} says.",
        )
        for feed in feeds.declared()
        if feed.expected_every_hours
    ],
    pool=POOL,
    can_subset=True,
)
def freshness_checks(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
    """Warns of a feed that was in use and is late. One that never had a file is not in use."""
    with warehouse.connect() as connection:
        prepare(connection)
        for feed in feeds.declared():
            if dg.AssetCheckKey(dg.AssetKey(["ingest", feed.name]), "on_time") in context.selected_asset_check_keys:
                yield _freshness(connection, feed)


def _freshness(
    connection: duckdb.DuckDBPyConnection, feed: Feed, clock: Callable[[], datetime] = utc_now
) -> dg.AssetCheckResult:
    (last_load,) = connection.execute(
        "select max(loaded_at) from ingest.files where kind = ? and feed = ? and outcome = 'loaded'",
        [feed.kind, feed.feed],
    ).fetchone()
    hours = None if last_load is None else (clock() - last_load).total_seconds() / 3600
    return dg.AssetCheckResult(
        asset_key=["ingest", feed.name],
        check_name="on_time",
        passed=hours is None or hours <= feed.expected_every_hours,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "last_file_at": "none yet: the feed is not in use"
            if last_load is None
            else f"{last_load:%Y-%m-%d %H:%M} UTC",
            "hours_since": 0.0 if hours is None else round(hours, 1),
            "expected_every_hours": feed.expected_every_hours,
        },
    )


# --- which files --------------------------------------------------------------------------------------------


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden and unfinished files and without empty folders."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".")
        and path.suffix.lower() not in UNFINISHED_SUFFIXES
        and (path.is_file() or _visible(path))
    )


def _sort_out(feed: Feed, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files of the folder that the feed claims, and the paths that it does not."""
    claimed = [path for path in _visible(folder) if path.is_file() and feed.claims(path.name)]
    return claimed, [path for path in _visible(folder) if path not in claimed]


def _written_at(path: Path) -> tuple[int, str]:
    return (path.stat().st_mtime_ns if path.exists() else 0, path.name)


def _still_growing(paths: list[Path]) -> dict[Path, FileLoad]:
    """Files that change while they are watched. Only those that changed a moment ago are watched at all."""
    quiet = settings.quiet_seconds()
    ages = {path: time.time() - path.stat().st_mtime for path in paths if path.exists()}
    young = {path: _signature(path) for path, age in ages.items() if 0 <= age < quiet}
    if not young:
        return {}
    time.sleep(quiet - min(ages[path] for path in young))
    return {
        path: FileLoad(
            path.name,
            "waiting",
            message=f"{path.name}: still being written; it is left alone until it has not changed for {quiet:g} s",
        )
        for path, signature in young.items()
        if path.exists() and _signature(path) != signature
    }


def _signature(path: Path) -> tuple[str, int, datetime]:
    """Name, size and time of change: equal ones spare reading the file again."""
    status = path.stat()
    modified_at = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000_000, UTC).replace(
        tzinfo=None, microsecond=status.st_mtime_ns // 1_000 % 1_000_000
    )
    return path.name, status.st_size, modified_at


def _known_files(connection: duckdb.DuckDBPyConnection, feed: Feed) -> set[tuple[str, int, datetime]]:
    """Landed files of which every part is loaded, by what spares opening them again."""
    return set(
        connection.execute(
            """
            with newest as (
                select * from ingest.files where kind = ? and feed = ?
                qualify 1 = row_number() over (
                    partition by file_name, part_name order by loaded_at desc, file_version desc
                )
            )
            select file_name, size_bytes, modified_at from newest group by all
            having bool_and(outcome in ('loaded', 'duplicate')) and count(*) >= max(coalesce(part_count, 1))
            """,
            [feed.kind, feed.feed],
        ).fetchall()
    )


# --- one file -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Arrival:
    """A part of a file that is being looked at: what its line in the ledger says in any case.

    Hashes: None where its content could not be read.
    """

    feed: Feed
    part: Part
    size_bytes: int
    modified_at: datetime
    loaded_at: datetime
    started_seconds: float
    part_count: int = 1
    bytes_hash: str | None = None
    content_hash: str | None = None
    return_number: int = 0

    @property
    def label(self) -> str:
        return self.part.label

    @property
    def file_id(self) -> str:
        """Stable: the same for the same feed, name and bytes, unless another version came in between."""
        returned = (f"returned {self.return_number}",) if self.return_number else ()
        identity = "\0".join((self.feed.name, self.label, self.bytes_hash or "", *returned))
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    def require_unchanged(self) -> None:
        if _signature(self.part.landed) != (self.part.landed.name, self.size_bytes, self.modified_at):
            raise UnreadableFile(f"{self.label}: it changed while it was read. It is tried again at the next run.")


class _NotVouchedFor(Exception):
    """What was read at once is not shown to be all of the file: nothing of it stays, and it is read with more care."""


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
        signature = _signature(path)
    except FileNotFoundError:
        return [FileLoad(path.name, "failed", message=f"{path.name}: it was taken away before it was read")]
    except UnicodeEncodeError:
        name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return [FileLoad(name, "failed", message=f"{name}: its name is not UTF-8. Rename the file.")]
    if signature in known:
        return [FileLoad(path.name, "skipped")]
    _, size_bytes, modified_at = signature
    arrival = _Arrival(feed, Part(path), size_bytes, modified_at, clock(), time.monotonic())
    try:
        parts = unpacking.parts(feed, path, scratch)
    except Exception as error:
        return [_note_failure(connection, arrival, error)]
    _forget_failures_of_parts_that_are_gone(connection, feed, path, parts)
    arrival = replace(arrival, part_count=len(parts))
    return [
        _load_part(
            connection, replace(arrival, part=part, loaded_at=clock(), started_seconds=time.monotonic()), scratch
        )
        for part in parts
    ]


def _load_part(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, scratch: Path) -> FileLoad:
    try:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            body = unpacking.body(arrival.feed, arrival.part, Path(folder))
            return _load_body(connection, arrival, body, Path(folder))
    except Exception as error:  # whatever a file does to a library, the other files go on
        return _note_failure(connection, arrival, error)
    finally:
        connection.execute("drop table if exists temp.incoming; drop table if exists temp.records_across_lines")


def _load_body(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, body: Body, scratch: Path) -> FileLoad:
    feed = arrival.feed
    seen = readers.survey(feed, body, readers.shape(connection, feed, body, scratch), scratch)
    arrival = replace(arrival, bytes_hash=seen.bytes_hash, content_hash=body.identity(seen.bytes_hash))
    if _is_newest_version(connection, arrival):
        return _touch(connection, arrival)
    if _is_loaded(connection, arrival.file_id):
        # An earlier version comes back after another one: it counts again, so it is a version of its own.
        arrival = replace(arrival, return_number=_version(connection, arrival))
    twin = _loaded_twin(connection, arrival)
    if twin is not None:
        return _note_known_content(connection, arrival, *twin)
    at_once = readers.read_at_once(connection, feed, body, seen, scratch)
    if at_once is not None:
        with suppress(_NotVouchedFor, duckdb.Error):
            return _load_at_once(connection, arrival, at_once)
    return _load_with_care(connection, arrival, readers.plan(connection, feed, body, seen, scratch))


def _is_loaded(connection: duckdb.DuckDBPyConnection, file_id: str) -> bool:
    found = connection.execute(
        "select 1 from ingest.files where file_id = ? and outcome in ('loaded', 'duplicate')", [file_id]
    )
    return found.fetchone() is not None


def _is_newest_version(connection: duckdb.DuckDBPyConnection, arrival: _Arrival) -> bool:
    """Is this what came last under the file's name, and is it loaded?"""
    newest = connection.execute(
        """
        select file_id from ingest.files
        where kind = ? and feed = ? and file_name = ? and part_name is not distinct from ? and outcome <> 'failed'
        order by loaded_at desc, file_version desc limit 1
        """,
        [arrival.feed.kind, arrival.feed.feed, arrival.part.landed.name, arrival.part.inner_name],
    ).fetchone()
    return newest is not None and newest[0] == arrival.file_id


def _forget_failures_of_parts_that_are_gone(
    connection: duckdb.DuckDBPyConnection, feed: Feed, path: Path, parts: list[Part]
) -> None:
    with transaction(connection):
        connection.execute(
            """
            delete from ingest.files where kind = ? and feed = ? and file_name = ? and outcome = 'failed'
                and part_name is not null and not list_contains(?::varchar[], part_name)
            """,
            [feed.kind, feed.feed, path.name, [part.inner_name for part in parts if part.inner_name]],
        )


def _touch(connection: duckdb.DuckDBPyConnection, arrival: _Arrival) -> FileLoad:
    """The same file was written again: its new time spares the next look into it."""
    with transaction(connection):
        connection.execute(
            "update ingest.files set modified_at = ?, size_bytes = ?, part_count = ? where file_id = ?",
            [arrival.modified_at, arrival.size_bytes, arrival.part_count, arrival.file_id],
        )
    return FileLoad(arrival.label, "skipped")


def _note_failure(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, error: Exception) -> FileLoad:
    told = str(error)
    if not isinstance(error, UnreadableFile):
        expected = isinstance(error, OSError | duckdb.Error)
        told = f"{arrival.label}: {error}" if expected else f"{arrival.label}: {type(error).__name__}: {error}"
    message = told if len(told) <= MESSAGE_CHARACTERS else f"{told[:MESSAGE_CHARACTERS]} ..."
    load = FileLoad(arrival.label, "failed", message=message)
    with transaction(connection):
        _write_ledger(connection, arrival, load)
    return load


def _loaded_twin(connection: duckdb.DuckDBPyConnection, arrival: _Arrival) -> tuple[str, str] | None:
    """Id and name of the file of this feed that brought the same content and is still the newest of its name."""
    return connection.execute(
        """
        with newest as (
            select * from ingest.files where kind = ? and feed = ? and outcome <> 'failed'
            qualify 1 = row_number() over (
                partition by file_name, part_name order by loaded_at desc, file_version desc
            )
        )
        select file_id, concat_ws('/', file_name, part_name) from newest where content_hash = ? and outcome = 'loaded'
        """,
        [arrival.feed.kind, arrival.feed.feed, arrival.content_hash],
    ).fetchone()


def _note_known_content(
    connection: duckdb.DuckDBPyConnection, arrival: _Arrival, twin_id: str, twin_name: str
) -> FileLoad:
    """Content that another name, or another packing, brought already: recorded once, not loaded again."""
    message = f"{arrival.label}: has the content of {twin_name}; not loaded again"
    load = FileLoad(arrival.label, "duplicate", message=message)
    with transaction(connection):
        _write_ledger(connection, arrival, load, duplicate_of=twin_id)
    return load


def _load_at_once(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, at_once: readers.AtOnce) -> FileLoad:
    """Rows go straight to their table; the engine must see as many as were counted."""
    with transaction(connection), _in_any_order(connection):
        loaded_count = _insert_rows(connection, arrival, f"({at_once.rows})", "_record_number", judged=False)
        if loaded_count != at_once.record_count:
            raise _NotVouchedFor
        if at_once.may_lack_values and _lacks_values(connection, arrival):
            raise _NotVouchedFor
        arrival.require_unchanged()
        load = _told(connection, arrival, FileLoad(arrival.label, "loaded", loaded_count), at_once.new_columns)
        _write_ledger(connection, arrival, load)
    return load


@contextmanager
def _in_any_order(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Rows that carry their number need not be stored in its order, so all threads may write."""
    connection.execute("set preserve_insertion_order = false")
    try:
        yield
    finally:
        connection.execute("set preserve_insertion_order = true")


def _load_with_care(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, plan: readers.Plan) -> FileLoad:
    """Every record is judged by itself: what cannot be read goes to quarantine."""
    label = arrival.label
    _read_incoming(connection, arrival, plan)
    with transaction(connection):
        loaded_count = _insert_rows(connection, arrival, "temp.incoming", NUMBER)
        quarantined_count = 0
        if loaded_count < plan.record_count:
            quarantined_count = _insert_quarantine(connection, arrival, plan)
        if loaded_count + quarantined_count != plan.record_count:
            raise UnreadableFile(
                f"{label}: of {plan.record_count} records {loaded_count} would be loaded and "
                f"{quarantined_count} be in quarantine. Nothing of it is loaded."
            )
        arrival.require_unchanged()
        totals, difference = _compare_totals(connection, arrival, plan, quarantined_count)
        load = FileLoad(label, "loaded", loaded_count, quarantined_count, difference, control_totals=totals)
        load = _told(connection, arrival, load, _new_columns(connection, arrival.feed, plan))
        _write_ledger(connection, arrival, load)
    return load


def _read_incoming(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, plan: readers.Plan) -> None:
    connection.execute(f"create or replace temp table incoming as {plan.rows}")
    read_count = connection.execute("select count(*) from temp.incoming").fetchone()[0]
    if read_count != plan.readable_count:
        raise UnreadableFile(
            f"{arrival.label}: {plan.readable_count} records should be readable, the engine reads {read_count}. "
            f"Nothing of it is loaded; check its quotes against {arrival.feed.declaration.name}."
        )


def _new_columns(connection: duckdb.DuckDBPyConnection, feed: Feed, plan: readers.Plan) -> tuple[str, ...]:
    """Columns that the feed does not know: as the plan found them, else the keys of the records."""
    if plan.new_columns is not None:
        return plan.new_columns
    known = {*feed.extra, *(column.source_name.partition(".")[0] for column in feed.columns)}
    keys = connection.execute(
        "select distinct unnest(json_keys(_extra_columns)) from temp.incoming where _extra_columns is not null"
    ).fetchall()
    return tuple(sorted(key for (key,) in keys if key not in known))


def _compare_totals(
    connection: duckdb.DuckDBPyConnection, arrival: _Arrival, plan: readers.Plan, quarantined_count: int
) -> tuple[str | None, str | None]:
    """Control totals as JSON, and what to tell where one does not foot because records are in quarantine.

    Raises UnreadableFile where one does not foot although every record was read.
    """
    compared, told = {}, []
    for name, (stated_text, adds_up) in plan.totals.items():
        stated = _number(stated_text, arrival.feed.decimal_mark)
        if adds_up == RECORDS:
            found, is_partial = Decimal(plan.record_count), False
        else:
            found, read_count, unread_count = connection.execute(
                f"""
                select coalesce(sum({_amount(adds_up, arrival.feed)}), 0), count({_amount(adds_up, arrival.feed)}),
                    count(*) filter (where not {_is_blank(adds_up)} and {_amount(adds_up, arrival.feed)} is null)
                from temp.incoming
                """
            ).fetchone()
            # Where no value at all is a number, the declaration is wrong and not the file.
            is_partial = quarantined_count + unread_count > 0 and read_count > 0
        compared[name] = {"stated": stated_text, "found": f"{found.normalize():f}"}
        if stated == found:
            continue
        if stated is None:
            raise UnreadableFile(
                f"{arrival.label}: its control total {name} says {stated_text!r}, which is no number with the "
                f"decimal mark {arrival.feed.decimal_mark!r}. Correct the pattern in {arrival.feed.declaration.name}."
            )
        what = "records" if adds_up == RECORDS else f"the sum of {adds_up}"
        difference = f"its control total {name} says {stated_text}, {what} is {found.normalize():f}"
        if not is_partial:
            raise UnreadableFile(
                f"{arrival.label}: {difference}. It is cut short or was edited, so nothing of it is loaded. "
                f"Ask for a whole file."
            )
        told.append(f"{difference}; records that cannot be read may be the reason")
    return json.dumps(compared) if compared else None, "; ".join(told) or None


def _number(text: str, decimal_mark: str) -> Decimal | None:
    """A control total, written with the feed's decimal mark; None where it is no number."""
    plain = text.strip()
    if not re.fullmatch(rf"[+-]?[0-9]+({re.escape(decimal_mark)}[0-9]+)?", plain):
        return None
    return Decimal(plain.replace(decimal_mark, "."))


def _amount(name: str, feed: Feed) -> str:
    """SQL: a column of `incoming` as an exact decimal, by the feed's decimal mark; null where it is no number."""
    value = f"trim({quote_name(name)}, {BLANKS})"
    mark = "[.]" if feed.decimal_mark == "." else ","
    is_number = f"regexp_full_match({value}, '[+-]?[0-9]+({mark}[0-9]+)?')"
    return f"case when {is_number} then try_cast(replace({value}, ',', '.') as {MONEY}) end"


def _told(
    connection: duckdb.DuckDBPyConnection, arrival: _Arrival, load: FileLoad, new_columns: tuple[str, ...]
) -> FileLoad:
    """The load with what a person should know of it."""
    told = [load.message.removeprefix(f"{load.file_name}: ")] if load.message else []
    if load.quarantined_count:
        told.insert(0, _quarantine_message(connection, arrival.file_id, load))
    if new_columns:
        told.append(f"new columns, kept in _extra_columns: {', '.join(new_columns)}")
    version = _version(connection, arrival)
    if version > 1:
        told.append(f"version {version} of this name; all versions are kept")
    message = f"{load.file_name}: {'; '.join(told)}" if told else None
    return replace(load, message=message, new_columns=new_columns)


def _version(connection: duckdb.DuckDBPyConnection, arrival: _Arrival) -> int:
    """1 for the first content that came under this name, 2 for the second."""
    return connection.execute(
        """
        select count(*) + 1 from ingest.files where kind = ? and feed = ? and file_name = ?
            and part_name is not distinct from ? and outcome = 'loaded' and file_id <> ?
        """,
        [arrival.feed.kind, arrival.feed.feed, arrival.part.landed.name, arrival.part.inner_name, arrival.file_id],
    ).fetchone()[0]


def _insert_rows(
    connection: duckdb.DuckDBPyConnection,
    arrival: _Arrival,
    rows: str,
    number: str,
    condition: str = "true",
    judged: bool = True,
) -> int:
    """Rows to the raw table; if `judged`, only those whose required values are all there. Returns their number."""
    feed = arrival.feed
    columns = ", ".join(map(quote_name, feed.column_names))
    filled = "true"
    if judged and feed.filled_columns:
        filled = " and ".join(f"not {_is_blank(name)}" for name in feed.filled_columns)
    return connection.execute(
        f"""
        insert into {_raw_table(feed)} by name
        select
            {columns},
            {quote_text(arrival.file_id)} as _file_id,
            {number} as _record_number,
            ?::timestamp as _loaded_at,
            _extra_columns
        from {rows} where {filled} and {condition}
        """,
        [arrival.loaded_at],
    ).fetchone()[0]


def _lacks_values(connection: duckdb.DuckDBPyConnection, arrival: _Arrival) -> bool:
    """Does a loaded row of the file lack a required value?"""
    blank = " or ".join(_is_blank(name) for name in arrival.feed.filled_columns) or "false"
    found = connection.execute(
        f"select 1 from {_raw_table(arrival.feed)} where _file_id = {quote_text(arrival.file_id)} and ({blank}) limit 1"
    )
    return found.fetchone() is not None


def _insert_quarantine(
    connection: duckdb.DuckDBPyConnection, arrival: _Arrival, plan: readers.Plan, condition: str = "true"
) -> int:
    """One row per record that cannot be read or lacks a required value. Returns their number."""
    feed = arrival.feed
    blanks = ", ".join(f"if({_is_blank(name)}, {quote_text(name)}, null)" for name in feed.filled_columns)
    amount = f"{feed.money.sign} * {_amount(feed.money.amount, feed)}" if feed.money.amount else f"null::{MONEY}"
    currency = f"upper(trim({quote_name(feed.money.currency)}))" if feed.money.currency else "null::varchar"
    raw_text = "raw_text"
    if feed.dropped:
        # What is dropped must not come in by the back door; of a text that cannot be taken apart nothing is kept.
        without = quote_text(json.dumps(dict.fromkeys(feed.dropped)))
        raw_text = (
            f"case when {readers.is_json_object('raw_text')} then json_merge_patch(raw_text, {without})::varchar end"
        )
    return connection.execute(
        f"""
        insert into ingest.quarantine by name
        with blank_records as (
            select
                {NUMBER} as _record_number,
                list_filter([{blanks}]::varchar[], lambda name: name is not null) as names,
                {amount} as at_risk_amount,
                {currency} as at_risk_currency
            from temp.incoming
        ),
        refused_records as (
            select *, null::{MONEY} as at_risk_amount, null::varchar as at_risk_currency from ({plan.refused})
            union all
            select
                _record_number, names[1], 'required_value_missing',
                'required and blank: ' || array_to_string(names, ', '), at_risk_amount, at_risk_currency
            from blank_records where len(names) > 0
        )
        select
            {quote_text(arrival.file_id)} as file_id, ? as kind, ? as feed, ? as file_name,
            _record_number as record_number, line_number, column_name, reason_code, message, {raw_text} as raw_text,
            at_risk_amount, at_risk_currency, ?::timestamp as loaded_at
        from refused_records left join ({plan.records}) as file_records using (_record_number)
        where {condition}
        order by _record_number
        """,
        [feed.kind, feed.feed, arrival.label, arrival.loaded_at],
    ).fetchone()[0]


def _quarantine_message(connection: duckdb.DuckDBPyConnection, file_id: str, load: FileLoad) -> str:
    reasons = connection.execute(
        """
        select reason_code, count(*) from ingest.quarantine
        where file_id = ? group by reason_code order by reason_code
        """,
        [file_id],
    ).fetchall()
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons)
    total = load.loaded_count + load.quarantined_count
    return f"{load.quarantined_count} of {total} records are in quarantine ({counted})"


def _write_ledger(
    connection: duckdb.DuckDBPyConnection,
    arrival: _Arrival,
    load: FileLoad,
    duplicate_of: str | None = None,
) -> None:
    """The part's line. Of a name's failures only the last is kept, until it loads."""
    feed, part = arrival.feed, arrival.part
    connection.execute(
        """
        delete from ingest.files where kind = ? and feed = ? and file_name = ? and outcome = 'failed'
            and (part_name is null or part_name is not distinct from ?)
        """,
        [feed.kind, feed.feed, part.landed.name, part.inner_name],
    )
    line = {
        "file_id": arrival.file_id,
        "kind": feed.kind,
        "feed": feed.feed,
        "file_name": part.landed.name,
        "part_name": part.inner_name,
        "part_count": arrival.part_count,
        "file_version": _version(connection, arrival) if load.outcome == "loaded" else None,
        "content_hash": arrival.content_hash,
        "size_bytes": arrival.size_bytes,
        "modified_at": arrival.modified_at,
        "record_count": load.loaded_count + load.quarantined_count if load.outcome == "loaded" else None,
        "loaded_count": load.loaded_count,
        "quarantined_count": load.quarantined_count,
        "control_totals": load.control_totals,
        "new_columns": ", ".join(load.new_columns) or None,
        "outcome": load.outcome,
        "message": load.message,
        "duplicate_of_file_id": duplicate_of,
        "loaded_at": arrival.loaded_at,
        "elapsed_seconds": f"{time.monotonic() - arrival.started_seconds:.3f}",
    }
    connection.execute(
        f"insert into ingest.files ({', '.join(line)}) values ({', '.join('?' for _ in line)})", list(line.values())
    )


# --- quarantine: tried again --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replay:
    """What came of trying a file's quarantined records again. Counts are records; message where it was not tried."""

    feed: Feed
    label: str
    loaded_count: int = 0
    quarantined_count: int = 0
    message: str | None = None


def replay_quarantine(
    connection: duckdb.DuckDBPyConnection, feed: Feed, landing: Path, clock: Callable[[], datetime] = utc_now
) -> list[Replay]:
    """Tries the feed's quarantined records again, as it is declared now, from the files that brought them.

    Each file is one transaction: what can be read now moves from quarantine to the raw table, the rest stays with its
    present reason. A file that is gone, was changed, or that the declaration cuts into other records than before is
    told and left as it is.
    """
    prepare(connection, (feed,))
    waiting = connection.execute(
        """
        select file_id, file_name, part_name, record_count from ingest.files
        where kind = ? and feed = ? and quarantined_count > 0 order by loaded_at, file_name, part_name
        """,
        [feed.kind, feed.feed],
    ).fetchall()
    replays: list[Replay] = []
    for file in waiting:
        with _scratch(connection) as scratch:
            replays.append(_replay_file(connection, feed, landing, clock, scratch, *file))
    return replays


def _replay_file(
    connection: duckdb.DuckDBPyConnection,
    feed: Feed,
    landing: Path,
    clock: Callable[[], datetime],
    scratch: Path,
    file_id: str,
    file_name: str,
    part_name: str | None,
    record_count: int,
) -> Replay:
    label = "/".join(name for name in (file_name, part_name) if name)
    path = landing / feed.folder / file_name
    if not path.exists():
        return Replay(feed, label, message=f"{label}: it is not in {path.parent} any more; put it back to try it again")
    try:
        part = next((part for part in unpacking.parts(feed, path, scratch) if part.inner_name == part_name), None)
        if part is None:
            raise UnreadableFile(f"{label}: {feed.declaration.name} does not read it any more")
        _, size_bytes, modified_at = _signature(path)
        body = unpacking.body(feed, part, scratch)
        seen = readers.survey(feed, body, None, scratch)
        arrival = _Arrival(feed, part, size_bytes, modified_at, clock(), time.monotonic())
        arrival = replace(arrival, bytes_hash=seen.bytes_hash)
        versions = _version(connection, arrival)
        returns = [replace(arrival, return_number=number) for number in range(versions + 1)]
        arrival = next((version for version in returns if version.file_id == file_id), None)
        if arrival is None:
            raise UnreadableFile(f"{label}: it is another version than the one with records in quarantine")
        plan = readers.plan(connection, feed, body, seen, scratch)
        if plan.record_count != record_count:
            raise UnreadableFile(
                f"{label}: as declared now it holds {plan.record_count} records, but {record_count} were counted "
                f"when it was loaded; only a file whose records are the same can be tried again"
            )
        _read_incoming(connection, arrival, plan)
        return _move_out_of_quarantine(connection, arrival, plan)
    except Exception as error:  # whatever a file does to a library, the other files go on
        return Replay(feed, label, message=str(error))
    finally:
        connection.execute("drop table if exists temp.incoming; drop table if exists temp.records_across_lines")


def _move_out_of_quarantine(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, plan: readers.Plan) -> Replay:
    connection.execute(
        """
        create or replace temp table waiting_records as
        select record_number from ingest.quarantine where file_id = ?
        """,
        [arrival.file_id],
    )
    waiting_count = connection.execute("select count(*) from temp.waiting_records").fetchone()[0]
    condition = "in (select record_number from temp.waiting_records)"
    with transaction(connection):
        connection.execute("delete from ingest.quarantine where file_id = ?", [arrival.file_id])
        loaded = _insert_rows(connection, arrival, "temp.incoming", NUMBER, f"{NUMBER} {condition}")
        left = _insert_quarantine(connection, arrival, plan, f"_record_number {condition}")
        if loaded + left != waiting_count:
            raise UnreadableFile(
                f"{arrival.label}: of {waiting_count} quarantined records {loaded} would be loaded and {left} stay. "
                f"Nothing of it is moved."
            )
        arrival.require_unchanged()
        totals, difference = _compare_totals(connection, arrival, plan, left)
        load = FileLoad(arrival.label, "loaded", plan.record_count - left, left, difference)
        load = _told(connection, arrival, load, _new_columns(connection, arrival.feed, plan))
        connection.execute(
            """
            update ingest.files set loaded_count = ?, quarantined_count = ?, control_totals = ?, message = ?
            where file_id = ?
            """,
            [load.loaded_count, left, totals, load.message, arrival.file_id],
        )
    return Replay(arrival.feed, arrival.label, loaded, left)


# --- what loading and replay share ----------------------------------------------------------------------------------


def _is_blank(name: str) -> str:
    """SQL: null or white space only. Comparing comes first: nearly all values pass, and trimming is dear."""
    value = quote_name(name)
    return f"({value} is null or ({value} < '!' and trim({value}, {BLANKS}) = ''))"


@contextmanager
def _scratch(connection: duckdb.DuckDBPyConnection) -> Iterator[Path]:
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


def _raw_table(feed: Feed) -> str:
    return f"ingest.{quote_name(feed.name)}"
