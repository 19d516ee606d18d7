"""Replay: quarantined records are tried again, as their feed is declared now.

Belongs here: finding the file that brought them, and moving what can be read now. Does not belong here: what brings a
record into quarantine (`records.py`), a file's first load (`loading.py`).
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from orchestration import file_ledger, records
from orchestration.feeds import Feed, readers, unpacking
from orchestration.feeds.readers import Plan
from orchestration.feeds.unpacking import UnreadableFile
from orchestration.file_ledger import Arrival, FileLoad, utc_now
from orchestration.landing import signature_of
from orchestration.loading import scratch_folder
from orchestration.sql import transaction


@dataclass(frozen=True)
class Replay:
    """What came of trying a file's quarantined records again. Counts are records; message where it was not tried."""

    feed: Feed
    label: str
    loaded_count: int = 0
    quarantined_count: int = 0
    message: str | None = None


def replay_quarantine(connection: duckdb.DuckDBPyConnection, feed: Feed, landing: Path) -> list[Replay]:
    """Tries the feed's quarantined records again, as it is declared now, from the files that brought them.

    Each file is one transaction: what can be read now moves from quarantine to the raw table, the rest stays with its
    present reason. A file that is gone, was changed, or that the declaration cuts into other records than before is
    told and left as it is.
    """
    file_ledger.prepare(connection, (feed,))
    waiting = connection.execute(
        """
        select file_id, file_name, part_name, record_count from ingest.files
        where kind = ? and feed = ? and quarantined_count > 0 order by loaded_at, file_name, part_name
        """,
        [feed.kind, feed.feed],
    ).fetchall()
    replays: list[Replay] = []
    for file in waiting:
        with scratch_folder(connection) as scratch:
            replays.append(_replay_file(connection, feed, landing, scratch, *file))
    return replays


def _replay_file(
    connection: duckdb.DuckDBPyConnection,
    feed: Feed,
    landing: Path,
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
        _, size_bytes, modified_at = signature_of(path)
        body = unpacking.body(feed, part, scratch)
        seen = readers.survey(feed, body, None, scratch)
        arrival = Arrival(feed, part, size_bytes, modified_at, utc_now(), time.monotonic())
        arrival = replace(arrival, bytes_hash=seen.bytes_hash)
        versions = file_ledger.version_of(connection, arrival)
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
        records.read_incoming(connection, arrival, plan)
        return _move_out_of_quarantine(connection, arrival, plan)
    except Exception as error:  # whatever a file does to a library, the other files go on
        return Replay(feed, label, message=str(error))
    finally:
        records.drop_incoming(connection)


def _move_out_of_quarantine(connection: duckdb.DuckDBPyConnection, arrival: Arrival, plan: Plan) -> Replay:
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
        loaded = records.insert_rows(
            connection, arrival, "temp.incoming", records.NUMBER, f"{records.NUMBER} {condition}"
        )
        left = records.insert_quarantine(connection, arrival, plan, f"_record_number {condition}")
        if loaded + left != waiting_count:
            raise UnreadableFile(
                f"{arrival.label}: of {waiting_count} quarantined records {loaded} would be loaded and {left} stay. "
                f"Nothing of it is moved."
            )
        arrival.require_unchanged()
        totals, difference = records.compare_totals(connection, arrival, plan, left)
        load = FileLoad(arrival.label, "loaded", plan.record_count - left, left, difference)
        load = file_ledger.with_message(connection, arrival, load, records.new_columns(connection, arrival.feed, plan))
        connection.execute(
            """
            update ingest.files set loaded_count = ?, quarantined_count = ?, control_totals = ?, message = ?
            where file_id = ?
            """,
            [load.loaded_count, left, totals, load.message, arrival.file_id],
        )
    return Replay(arrival.feed, arrival.label, loaded, left)
