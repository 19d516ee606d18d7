"""Ingest: files of the landing to raw tables, exactly once, nothing lost. One Dagster asset per feed.

Belongs here: the tables of schema `ingest`, the ledger of files, the transaction around one file, the assets.
Does not belong here: what a feed looks like (`feeds/<kind>__<feed>.yml`), how a format is read
(`feeds/readers.py`), the meaning of any value (`models/stage/`).

One file is one transaction: its rows, its quarantine and its line in the ledger stand or fall together, so a
killed run is simply repeated. A file is known by its content, not by its name.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb

from orchestration import feeds
from orchestration.feeds import Feed, readers
from orchestration.feeds.readers import UnreadableFile
from orchestration.resources import POOL, Warehouse
from orchestration.sql import quote_name, quote_text, transaction

UNFINISHED_SUFFIXES = (".tmp", ".part")
MESSAGE_CHARACTERS = 1000  # the engine may quote a whole line of the file
BLANKS = "' ' || chr(9) || chr(10) || chr(13)"

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
    """What became of one file. Counts are records.

    outcome: `loaded`, `skipped` (known already), `duplicate` (another name brought this content) or `failed`.
    """

    file_name: str
    outcome: str
    loaded_count: int = 0
    quarantined_count: int = 0
    message: str | None = None


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
    _declare(connection, feeds.declared() if declared is None else declared)
    for feed in feeds.declared() if declared is None else declared:
        columns = {name: "varchar" for name in feed.column_names} | RAW_METADATA
        described = ", ".join(f"{quote_name(name)} {data_type}" for name, data_type in columns.items())
        connection.execute(f"create table if not exists {_raw_table(feed)} ({described})")
        for name in feed.column_names:
            connection.execute(f"alter table {_raw_table(feed)} add column if not exists {quote_name(name)} varchar")


def _declare(connection: duckdb.DuckDBPyConnection, declared: tuple[Feed, ...]) -> None:
    """What the declarations say about values, where staging can read it."""
    for feed in declared:
        numbers = feed.phone_numbers
        connection.execute(
            "insert or replace into ingest.feeds values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                feed.kind,
                feed.feed,
                feed.decimal_mark,
                feed.time_zone,
                numbers.international_prefix,
                numbers.national_prefix,
                numbers.calling_code,
                feed.money.sign,
                feed.expected_every_hours,
            ],
        )


def load_feed(
    connection: duckdb.DuckDBPyConnection, feed: Feed, landing: Path, clock: Callable[[], datetime] = utc_now
) -> FeedLoad:
    """Loads each file of the feed that is not loaded yet, in the order of their names.

    A file that fails is recorded and does not stop the others; the next call tries it again. Raises
    LandingMissing where there is no such folder; a feed without files loads nothing.
    """
    if not landing.is_dir():
        raise LandingMissing(
            f"There is no landing folder {landing}. Create it and drop files into <kind>/<feed>/, as "
            f"docs/landing.md says, or set TOLLGATE_HOME to the folder that holds your landing/."
        )
    prepare(connection, (feed,))
    known = _known_files(connection, feed)
    claimed, left_alone = _sort_out(feed, landing / feed.folder)
    loads = tuple(_load_unless_known(connection, feed, path, clock, known) for path in claimed)
    return FeedLoad(feed, loads, tuple(left_alone))


def unclaimed(landing: Path, declared: tuple[Feed, ...] | None = None) -> list[Path]:
    """Files that no declaration claims and, as one path each, folders that no feed has.

    Hidden and unfinished files (`.tmp`, `.part`) are left out, and so are empty folders.
    """
    folders = {landing / feed.folder: feed for feed in (feeds.declared() if declared is None else declared)}
    kinds = {folder.parent for folder in folders}
    left: list[Path] = []
    for path in _visible(landing):
        if path not in kinds:
            left.append(path)
            continue
        for inner in _visible(path):
            left += _sort_out(folders[inner], inner)[1] if inner in folders else [inner]
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
        description=feed.description,
    )
    def load(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        try:
            with warehouse.connect() as connection:
                prepare(connection)
                result = load_feed(connection, feed, warehouse.home.landing)
        except LandingMissing as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
        for message in result.messages:
            context.log.warning(message)
        return dg.MaterializeResult(
            metadata={
                "files_loaded": result.files_loaded,
                "files_skipped": result.files_skipped,
                "files_duplicate": result.files_duplicate,
                "files_failed": result.files_failed,
                "rows_loaded": result.rows_loaded,
                "rows_quarantined": result.rows_quarantined,
                "messages": dg.MetadataValue.md("\n".join(f"- {message}" for message in result.messages)),
            }
        )

    return load


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
    claimed = [path for path in _visible(folder) if path.is_file() and feed.format_of(path.name)]
    return claimed, [path for path in _visible(folder) if path not in claimed]


def _signature(path: Path) -> tuple[str, int, datetime]:
    """Name, size and time of change: equal ones spare reading the file again."""
    status = path.stat()
    modified_at = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000_000, UTC).replace(
        tzinfo=None, microsecond=status.st_mtime_ns // 1_000 % 1_000_000
    )
    return path.name, status.st_size, modified_at


def _known_files(connection: duckdb.DuckDBPyConnection, feed: Feed) -> set[tuple[str, int, datetime]]:
    return set(
        connection.execute(
            """
            select file_name, size_bytes, modified_at from ingest.files
            where kind = ? and feed = ? and outcome in ('loaded', 'duplicate')
            """,
            [feed.kind, feed.feed],
        ).fetchall()
    )


# --- one file -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Arrival:
    """A file that is being looked at: what its line in the ledger says in any case."""

    feed: Feed
    path: Path
    size_bytes: int
    modified_at: datetime
    loaded_at: datetime
    started_seconds: float

    def file_id(self, content_hash: str | None) -> str:
        """Stable: the same for the same feed, name and content."""
        identity = "\0".join((self.feed.name, self.path.name, content_hash or ""))
        return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _load_unless_known(
    connection: duckdb.DuckDBPyConnection,
    feed: Feed,
    path: Path,
    clock: Callable[[], datetime],
    known: set[tuple[str, int, datetime]],
) -> FileLoad:
    try:
        signature = _signature(path)
    except FileNotFoundError:
        return FileLoad(path.name, "failed", message=f"{path.name}: it was taken away before it was read")
    if signature in known:
        return FileLoad(path.name, "skipped")
    _, size_bytes, modified_at = signature
    return _load_file(connection, _Arrival(feed, path, size_bytes, modified_at, clock(), time.monotonic()))


def _load_file(connection: duckdb.DuckDBPyConnection, arrival: _Arrival) -> FileLoad:
    feed, path, content_hash = arrival.feed, arrival.path, None
    try:
        seen = readers.survey(feed, path)
        content_hash = seen.content_hash
        twin = _loaded_twin(connection, feed, content_hash)
        if twin is None:
            return _load_new(connection, arrival, seen)
        return _note_known_content(connection, arrival, content_hash, *twin)
    except (UnreadableFile, OSError, duckdb.Error) as error:
        told = str(error) if isinstance(error, UnreadableFile) else f"{path.name}: {error}"
        message = told if len(told) <= MESSAGE_CHARACTERS else f"{told[:MESSAGE_CHARACTERS]} ..."
        with transaction(connection):
            _write_ledger(connection, arrival, content_hash, FileLoad(path.name, "failed", message=message))
        return FileLoad(path.name, "failed", message=message)
    finally:
        connection.execute("drop table if exists temp.incoming; drop table if exists temp.records_across_lines")


def _loaded_twin(connection: duckdb.DuckDBPyConnection, feed: Feed, content_hash: str) -> tuple[str, str] | None:
    """Id and name of the file of this feed that brought the same content."""
    return connection.execute(
        """
        select file_id, file_name from ingest.files
        where kind = ? and feed = ? and content_hash = ? and outcome = 'loaded'
        """,
        [feed.kind, feed.feed, content_hash],
    ).fetchone()


def _note_known_content(
    connection: duckdb.DuckDBPyConnection, arrival: _Arrival, content_hash: str, twin_id: str, twin_name: str
) -> FileLoad:
    """Content that is loaded: under its old name it is skipped, under another a duplicate, recorded once."""
    name = arrival.path.name
    with transaction(connection):
        touched = connection.execute(
            """
            update ingest.files set modified_at = ?, size_bytes = ?
            where file_id = ? and outcome in ('loaded', 'duplicate')
            """,
            [arrival.modified_at, arrival.size_bytes, arrival.file_id(content_hash)],
        ).fetchone()[0]
        if touched:
            return FileLoad(name, "skipped")
        load = FileLoad(name, "duplicate", message=f"{name}: has the content of {twin_name}; not loaded again")
        _write_ledger(connection, arrival, content_hash, load, duplicate_of=twin_id)
    return load


def _load_new(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, seen: readers.Survey) -> FileLoad:
    name = arrival.path.name
    with tempfile.TemporaryDirectory(prefix="tollgate-") as scratch:
        plan = readers.plan(connection, arrival.feed, arrival.path, seen, Path(scratch))
        connection.execute(f"create or replace temp table incoming as {plan.rows}")
        read_count = connection.execute("select count(*) from temp.incoming").fetchone()[0]
        if read_count != plan.readable_count:
            raise UnreadableFile(
                f"{name}: {plan.readable_count} records should be readable, the engine reads {read_count}. "
                f"Nothing of it is loaded; check its quotes against {arrival.feed.declaration.name}."
            )
        with transaction(connection):
            file_id = arrival.file_id(seen.content_hash)
            loaded_count = _insert_rows(connection, arrival, file_id)
            quarantined_count = 0
            if loaded_count < plan.record_count:
                quarantined_count = _insert_quarantine(connection, arrival, file_id, plan)
            if loaded_count + quarantined_count != plan.record_count:
                raise UnreadableFile(
                    f"{name}: of {plan.record_count} records {loaded_count} would be loaded and "
                    f"{quarantined_count} be in quarantine. Nothing of it is loaded."
                )
            if _signature(arrival.path) != (name, arrival.size_bytes, arrival.modified_at):
                raise UnreadableFile(f"{name}: it changed while it was read. It is tried again at the next run.")
            message = _quarantine_message(connection, name, file_id, plan.record_count) if quarantined_count else None
            load = FileLoad(name, "loaded", loaded_count, quarantined_count, message)
            _write_ledger(connection, arrival, seen.content_hash, load)
    return load


def _insert_rows(connection: duckdb.DuckDBPyConnection, arrival: _Arrival, file_id: str) -> int:
    """Rows of `incoming` whose required values are all there, to the raw table. Returns their number."""
    feed = arrival.feed
    columns = ", ".join(map(quote_name, feed.column_names))
    filled = " and ".join(f"not {_is_blank(name)}" for name in feed.filled_columns) or "true"
    return connection.execute(
        f"""
        insert into {_raw_table(feed)} by name
        select
            {columns},
            {quote_text(file_id)} as _file_id,
            coalesce(_record_number, rowid + 1) as _record_number,
            ?::timestamp as _loaded_at,
            _extra_columns
        from temp.incoming where {filled}
        """,
        [arrival.loaded_at],
    ).fetchone()[0]


def _insert_quarantine(
    connection: duckdb.DuckDBPyConnection, arrival: _Arrival, file_id: str, plan: readers.Plan
) -> int:
    """One row per record that cannot be read or lacks a required value. Returns their number."""
    feed = arrival.feed
    blanks = ", ".join(f"if({_is_blank(name)}, {quote_text(name)}, null)" for name in feed.filled_columns)
    return connection.execute(
        f"""
        insert into ingest.quarantine by name
        with blank_records as (
            select
                coalesce(_record_number, rowid + 1) as _record_number,
                list_filter([{blanks}]::varchar[], lambda name: name is not null) as names
            from temp.incoming
        ),
        refused_records as (
            {plan.refused}
            union all
            select
                _record_number, names[1], 'required_value_missing',
                'required and blank: ' || array_to_string(names, ', ')
            from blank_records where len(names) > 0
        )
        select
            {quote_text(file_id)} as file_id, ? as kind, ? as feed, ? as file_name,
            line_number, column_name, reason_code, message, raw_text, ?::timestamp as loaded_at
        from refused_records left join ({plan.records}) as file_records using (_record_number)
        order by _record_number
        """,
        [feed.kind, feed.feed, arrival.path.name, arrival.loaded_at],
    ).fetchone()[0]


def _quarantine_message(connection: duckdb.DuckDBPyConnection, name: str, file_id: str, record_count: int) -> str:
    reasons = connection.execute(
        """
        select reason_code, count(*) from ingest.quarantine
        where file_id = ? group by reason_code order by reason_code
        """,
        [file_id],
    ).fetchall()
    total = sum(count for _, count in reasons)
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons)
    return f"{name}: {total} of {record_count} records are in quarantine ({counted})"


def _write_ledger(
    connection: duckdb.DuckDBPyConnection,
    arrival: _Arrival,
    content_hash: str | None,
    load: FileLoad,
    duplicate_of: str | None = None,
) -> None:
    """The file's line. Of a name's failures only the last is kept, until a file of that name loads."""
    feed = arrival.feed
    connection.execute(
        "delete from ingest.files where kind = ? and feed = ? and file_name = ? and outcome = 'failed'",
        [feed.kind, feed.feed, load.file_name],
    )
    connection.execute(
        "insert into ingest.files values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            arrival.file_id(content_hash),
            feed.kind,
            feed.feed,
            load.file_name,
            content_hash,
            arrival.size_bytes,
            arrival.modified_at,
            load.loaded_count + load.quarantined_count if load.outcome == "loaded" else None,
            load.loaded_count,
            load.quarantined_count,
            load.outcome,
            load.message,
            duplicate_of,
            arrival.loaded_at,
            f"{time.monotonic() - arrival.started_seconds:.3f}",
        ],
    )


def _is_blank(name: str) -> str:
    """SQL: null or white space only. Comparing comes first: nearly all values pass, and trimming is dear."""
    value = quote_name(name)
    return f"({value} is null or ({value} < '!' and trim({value}, {BLANKS}) = ''))"


def _raw_table(feed: Feed) -> str:
    return f"ingest.{quote_name(feed.name)}"
