"""Ingest: files of the landing to raw tables, as Dagster sees it. One asset per feed.

Belongs here: the assets, what Dagster shows of a load, whether a feed is late. Does not belong here: what a feed looks
like (`feeds/<kind>__<feed>.yml`), how its files are loaded exactly once (`loading.py`) and its quarantine is tried
again (`replay.py`), what is known of a file (`file_ledger.py`).
"""

import time
from collections.abc import Iterator

import dagster as dg
import duckdb

from orchestration import feeds
from orchestration.feeds import Feed
from orchestration.file_ledger import prepare, utc_now
from orchestration.loading import FeedLoad, LandingMissing, load_feed
from orchestration.resources import POOL, Warehouse

RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""A disk or a share may be away for a moment; what is wrong with a file is told, not retried."""


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


def _freshness(connection: duckdb.DuckDBPyConnection, feed: Feed) -> dg.AssetCheckResult:
    (last_load,) = connection.execute(
        "select max(loaded_at) from ingest.files where kind = ? and feed = ? and outcome = 'loaded'",
        [feed.kind, feed.feed],
    ).fetchone()
    hours = None if last_load is None else (utc_now() - last_load).total_seconds() / 3600
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
