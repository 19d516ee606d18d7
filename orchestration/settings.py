"""Where things are: the one place that reads environment variables and names paths.

Belongs here: paths, names of environment variables, their defaults. Does not belong here: opening any of them.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]


class SettingError(Exception):
    """An environment variable says what it cannot say. The message names it and its value."""


@dataclass(frozen=True)
class Home:
    """Everything that Tollgate reads and writes for one company, below one folder."""

    root: Path

    @property
    def landing(self) -> Path:
        """Files as they arrive: `<kind>/<feed>/<file>`. Read, never changed."""
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that ingest and dbt write. One writer at a time; nobody else reads it."""
        return self.root / "warehouse" / "tollgate.duckdb"

    @property
    def published(self) -> Path:
        """What others read: `settlement.duckdb`, `parquet/`, `manifest.json`. Replaced as a whole."""
        return self.root / "published"

    @property
    def reports(self) -> Path:
        """Pages about a run, passed or failed: `gate.html` and the result that it shows, `gate.json`."""
        return self.root / "reports"

    @property
    def packs(self) -> Path:
        """What goes to others: `disputes/` to carriers, `statements/` to partners. A folder each."""
        return self.root / "packs"

    @property
    def exports(self) -> Path:
        """What goes to finance systems: the journal, proposals of payments."""
        return self.root / "exports"

    @property
    def dagster(self) -> Path:
        """Dagster's instance: run history, schedules, sensors."""
        return self.root / "dagster"

    @property
    def simulation(self) -> Path:
        """What the simulated month hides from the models: the truth about its invoices."""
        return self.root / "simulation"


def home() -> Home:
    """The home named by TOLLGATE_HOME, by default `data/` in the project."""
    return Home(Path(os.environ.get("TOLLGATE_HOME") or PROJECT_DIR / "data").resolve())


def terms_dir() -> Path:
    """The terms named by TOLLGATE_TERMS (a folder of CSV files), by default those of the demo."""
    return Path(os.environ.get("TOLLGATE_TERMS") or PROJECT_DIR / "seeds" / "terms").resolve()


def uses_demo_terms() -> bool:
    return not os.environ.get("TOLLGATE_TERMS")


def quiet_seconds() -> float:
    """How long a file must not have changed before it is read: TOLLGATE_QUIET_SECONDS, by default 2.

    Raises SettingError where that is no number of seconds.
    """
    said = os.environ.get("TOLLGATE_QUIET_SECONDS") or "2"
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingError(f"TOLLGATE_QUIET_SECONDS is {said!r}, no number of seconds: set it to 2, or unset it")
    return seconds


DAGSTER_YAML = """\
# Written by Tollgate. DuckDB has one writer, so one run at a time; nothing is reported to anyone.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: run
    default_limit: 1
  runs:
    max_concurrent_runs: 1
run_retries:
  enabled: true
  max_retries: 0 # but for jobs that ask for it
"""


def prepare_environment(home: Home) -> None:
    """What the tools below us read from the environment: places, and that nobody phones home."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    home.warehouse.parent.mkdir(parents=True, exist_ok=True)
    instance_settings = home.dagster / "dagster.yaml"
    written = instance_settings.read_text() if instance_settings.exists() else None
    # Ours to bring up to date, at one blow, for another run may read it; a file that somebody else wrote stays.
    if written is None or (written != DAGSTER_YAML and written.startswith(DAGSTER_YAML.splitlines()[0])):
        prepared = instance_settings.with_suffix(f".{os.getpid()}")
        prepared.write_text(DAGSTER_YAML)
        prepared.replace(instance_settings)
    os.environ.update(
        TOLLGATE_HOME=str(home.root),
        TOLLGATE_WAREHOUSE=str(home.warehouse),
        DAGSTER_HOME=str(home.dagster),
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
        DO_NOT_TRACK="1",
        GX_ANALYTICS_ENABLED="false",
    )
