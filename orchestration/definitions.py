"""Assembly: everything that Dagster knows, in one function. Nothing is implemented here."""

import dagster as dg

from orchestration import settings, terms
from orchestration.gate import gate_checks, verdict
from orchestration.ingest import freshness_checks, ingest_assets
from orchestration.ledger import opened_books
from orchestration.progress import progress_logger
from orchestration.publish import publish_assets
from orchestration.resources import build_resources
from orchestration.schedules import (
    every_hour,
    every_morning,
    landing_sensors,
    load_history,
    publish_marts,
    settle_month,
    watch_feeds,
)
from orchestration.site import published_site
from orchestration.transform import transform


def build_defs(home: settings.Home | None = None) -> dg.Definitions:
    """The whole pipeline over one home, by default the one that TOLLGATE_HOME names."""
    home = home or settings.home()
    settings.prepare_environment(home)
    terms.check()
    return dg.Definitions(
        assets=[*ingest_assets(), opened_books, transform, verdict, *publish_assets, published_site],
        asset_checks=[gate_checks, freshness_checks],
        jobs=[settle_month, publish_marts, watch_feeds, load_history],
        schedules=[every_morning, every_hour],
        sensors=landing_sensors,
        resources=build_resources(home),
        loggers={"progress": progress_logger},
        # DuckDB has one writer: the steps of a run share one process and take turns.
        executor=dg.in_process_executor,
    )


defs = build_defs()
