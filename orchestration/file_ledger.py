"""The file ledger: what became of each landed file, and the tables of schema `ingest` beside which it stands.

Belongs here: those tables, which file is known, which version of its name it is and who brought its content before,
and the line that a file gets. Does not belong here: reading a file (`loading.py`), its rows (`records.py`), the
ledger of postings (`ledger.py`).

A file is known by its content, not its name.
"""

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration import feeds
from orchestration.feeds import Feed
from orchestration.feeds.unpacking import Part, UnreadableFile
from orchestration.landing import signature_of
from orchestration.sql import quote_name, transaction

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
NEWEST_VERSIONS = """
    select * from ingest.files where outcome <> 'failed'
    qualify 1 = row_number() over (
        partition by kind, feed, file_name, part_name order by loaded_at desc, file_version desc
    )
"""
"""Of each file, or part of one, what came last under its name and could be read."""
RAW_METADATA = {
    "_file_id": "varchar",
    "_record_number": "bigint",
    "_loaded_at": "timestamp",
    "_extra_columns": "varchar",
}


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
class Arrival:
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
        if signature_of(self.part.landed) != (self.part.landed.name, self.size_bytes, self.modified_at):
            raise UnreadableFile(f"{self.label}: it changed while it was read. It is tried again at the next run.")


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
            connection.execute(f"create table {raw_table(feed)} ({described})")
        for name in set(columns) - existing.get(feed.name, set(columns)):
            connection.execute(f"alter table {raw_table(feed)} add column {quote_name(name)} varchar")


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


def raw_table(feed: Feed) -> str:
    return f"ingest.{quote_name(feed.name)}"


def known_files(connection: duckdb.DuckDBPyConnection, feed: Feed) -> set[tuple[str, int, datetime]]:
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


def is_newest_version(connection: duckdb.DuckDBPyConnection, arrival: Arrival) -> bool:
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


def is_loaded(connection: duckdb.DuckDBPyConnection, file_id: str) -> bool:
    found = connection.execute(
        "select 1 from ingest.files where file_id = ? and outcome in ('loaded', 'duplicate')", [file_id]
    )
    return found.fetchone() is not None


def version_of(connection: duckdb.DuckDBPyConnection, arrival: Arrival) -> int:
    """1 for the first content that came under this name, 2 for the second."""
    return connection.execute(
        """
        select count(*) + 1 from ingest.files where kind = ? and feed = ? and file_name = ?
            and part_name is not distinct from ? and outcome = 'loaded' and file_id <> ?
        """,
        [arrival.feed.kind, arrival.feed.feed, arrival.part.landed.name, arrival.part.inner_name, arrival.file_id],
    ).fetchone()[0]


def loaded_twin(connection: duckdb.DuckDBPyConnection, arrival: Arrival) -> tuple[str, str] | None:
    """Id and name of the file of this feed that brought the same content and is still the newest of its name."""
    return connection.execute(
        f"""
        select file_id, concat_ws('/', file_name, part_name) from ({NEWEST_VERSIONS})
        where kind = ? and feed = ? and content_hash = ? and outcome = 'loaded'
        """,
        [arrival.feed.kind, arrival.feed.feed, arrival.content_hash],
    ).fetchone()


def touch(connection: duckdb.DuckDBPyConnection, arrival: Arrival) -> FileLoad:
    """The same file was written again: its new time spares the next look into it."""
    with transaction(connection):
        connection.execute(
            "update ingest.files set modified_at = ?, size_bytes = ?, part_count = ? where file_id = ?",
            [arrival.modified_at, arrival.size_bytes, arrival.part_count, arrival.file_id],
        )
    return FileLoad(arrival.label, "skipped")


def forget_failures_of_parts_that_are_gone(
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


def forget_failures_of_files_that_are_gone(connection: duckdb.DuckDBPyConnection, feed: Feed, folder: Path) -> None:
    """A failed file that somebody took away is nothing to mend any more. Nothing of it was loaded."""
    failed = connection.execute(
        "select distinct file_name from ingest.files where kind = ? and feed = ? and outcome = 'failed'",
        [feed.kind, feed.feed],
    ).fetchall()
    gone = [name for (name,) in failed if not (folder / name).exists()]
    if gone:
        with transaction(connection):
            connection.execute(
                """
                delete from ingest.files
                where kind = ? and feed = ? and outcome = 'failed' and list_contains(?::varchar[], file_name)
                """,
                [feed.kind, feed.feed, gone],
            )


def write_line(
    connection: duckdb.DuckDBPyConnection,
    arrival: Arrival,
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
        "file_version": version_of(connection, arrival) if load.outcome == "loaded" else None,
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


def with_message(
    connection: duckdb.DuckDBPyConnection, arrival: Arrival, load: FileLoad, new_columns: tuple[str, ...]
) -> FileLoad:
    """The load with what a person should know of it."""
    told = [load.message.removeprefix(f"{load.file_name}: ")] if load.message else []
    if load.quarantined_count:
        told.insert(0, _quarantine_message(connection, arrival.file_id, load))
    if new_columns:
        told.append(f"new columns, kept in _extra_columns: {', '.join(new_columns)}")
    version = version_of(connection, arrival)
    if version > 1:
        returned = " (its content was there before)" if arrival.return_number else ""
        told.append(f"version {version} of this name{returned}; all versions are kept")
    message = f"{load.file_name}: {'; '.join(told)}" if told else None
    return replace(load, message=message, new_columns=new_columns)


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
