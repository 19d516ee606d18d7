"""When runs start by themselves: every morning, and when files land.

Belongs here: jobs, schedules, sensors. Does not belong here: what a run does.
"""

import hashlib
import time
from datetime import datetime
from pathlib import Path

import dagster as dg

from orchestration.gate import gate_checks
from orchestration.resources import Warehouse

SETTLED_SECONDS = 10
"""A file that changed less long ago than this may still be being written: the sensor waits."""

settle_month = dg.define_asset_job(
    "settle_month",
    selection=dg.AssetSelection.all(),
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


@dg.sensor(
    job=settle_month, minimum_interval_seconds=30, description="Starts a run when files in landing have changed."
)
def files_landed(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
    landing = warehouse.home.landing
    if not landing.is_dir():
        return dg.SkipReason(f"{landing} does not exist; create it and drop files into <kind>/<feed>/")
    files = sorted(
        path
        for path in landing.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix not in (".tmp", ".part")
    )
    if not files:
        return dg.SkipReason(f"{landing} holds no files")
    newest = max(file.stat().st_mtime for file in files)
    if time.time() - newest < SETTLED_SECONDS:
        return dg.SkipReason("a file changed a moment ago; waiting until it is complete")
    state = _fingerprint(files, landing)
    if state == context.cursor:
        return dg.SkipReason(f"nothing new in {landing} since {datetime.fromtimestamp(newest):%Y-%m-%d %H:%M}")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=state)], cursor=state)


def _fingerprint(files: list[Path], landing: Path) -> str:
    """Names, sizes and times of all files, in one short text."""
    facts = "\n".join(f"{file.relative_to(landing)} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
