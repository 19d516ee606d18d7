"""When runs start by themselves: every morning, and when files land.

Belongs here: jobs, schedules, sensors. Does not belong here: what a run does.
"""

import hashlib
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from orchestration import feeds
from orchestration.file_ledger import prepare
from orchestration.gate import gate_checks
from orchestration.ingest import RETRIES, figures, freshness_checks
from orchestration.landing import UNFINISHED_SUFFIXES
from orchestration.loading import load_feed
from orchestration.resources import POOL, Landing, Warehouse

SETTLED_SECONDS = 10
"""A file that changed less long ago than this may still be being written: the sensor waits."""

FIRST_MONTH = "2020-01-01"

settle_month = dg.define_asset_job(
    "settle_month",
    selection=dg.AssetSelection.all(),
    # A share that was away, a process that was killed: what a run did is whole or not there, so it can be repeated.
    tags={"dagster/max_retries": "2"},
    description="ingest -> stage -> rate -> attribute -> reconcile -> settle -> gate -> publish",
)

publish_marts = dg.define_asset_job(
    "publish_marts",
    selection=dg.AssetSelection.groups("gate", "publish") | dg.AssetSelection.checks(gate_checks),
    description="gate -> publish, over the marts as they stand",
)

every_morning = dg.ScheduleDefinition(
    name="every_morning",
    job=settle_month,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    description="Settles what landed since yesterday, at 05:00 UTC.",
)


watch_feeds = dg.define_asset_job(
    "watch_feeds",
    selection=dg.AssetSelection.checks(freshness_checks),
    description="Are the feeds on time? Reads the file ledger and nothing else.",
)

every_hour = dg.ScheduleDefinition(
    name="every_hour",
    job=watch_feeds,
    cron_schedule="30 * * * *",
    execution_timezone="UTC",
    description="Looks whether each feed is on time.",
)

months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, end_offset=1)


@dg.op(pool=POOL, retry_policy=RETRIES)
def load_month(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    """Loads what landed for one month, feed by feed."""
    month = context.partition_key[:7]
    with warehouse.connect() as connection:
        prepare(connection)
        for feed in feeds.declared():
            started = time.monotonic()
            loads = load_feed(connection, feed, warehouse.home.landing, is_wanted=lambda path: month_of(path) == month)
            for message in loads.messages:
                context.log.warning(message)
            if loads.files:
                seconds = time.monotonic() - started
                metadata = {"month": month} | figures(loads, seconds)
                context.log_event(dg.AssetMaterialization(["ingest", feed.name], metadata=metadata))


@dg.job(
    partitions_def=months,
    description="Loads the files of one month: the month in the file's name, else that of its last change. Backfill it "
    "over the months of an archive, then run settle_month once.",
)
def load_history() -> None:
    load_month()


def month_of(path: Path) -> str:
    """As 2026-10: the first month in the file's name, alone or as part of a day or an instant (2026-10, 2026-10-03,
    20261003, 20261003120000), else that of its last change."""
    found = re.search(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])(?:[-_.]?[0-3]\d(?:\d{4}|\d{6})?)?(?!\d)", path.name)
    if found:
        return f"{found[1]}-{found[2]}"
    return f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m}"


def _sensor_of(kind: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{kind}_landed",
        job=settle_month,
        minimum_interval_seconds=30,
        description=f"Starts a run when files in {kind}/ have changed and are complete.",
    )
    def sensor(context: dg.SensorEvaluationContext, landing: Landing) -> dg.SensorResult | dg.SkipReason:
        folder = landing.home.landing / kind
        files = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in UNFINISHED_SUFFIXES
        ]
        if not files:
            return dg.SkipReason(f"{folder} holds no files")
        newest = max(file.stat().st_mtime for file in files)
        if 0 <= time.time() - newest < SETTLED_SECONDS:
            return dg.SkipReason("a file changed a moment ago; waiting until it is complete")
        state = _fingerprint(files, folder)
        if state == context.cursor:
            return dg.SkipReason(f"nothing new in {folder} since {datetime.fromtimestamp(newest):%Y-%m-%d %H:%M}")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{kind} {state}")], cursor=state)

    return sensor


landing_sensors = [_sensor_of(kind) for kind in sorted({feed.kind for feed in feeds.declared()})]
"""One per kind, so that each can be switched on by itself: usage every minute, invoices when somebody is there."""


def _fingerprint(files: list[Path], landing: Path) -> str:
    """Names, sizes and times of all files, in one short text."""
    facts = "\n".join(f"{file.relative_to(landing)} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
