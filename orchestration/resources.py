"""What assets are given to work with: the warehouse and dbt.

Belongs here: opening the warehouse, the dbt project and its command. Does not belong here: what is done with them.

One rule holds for the warehouse file: DuckDB has one writer. Runs execute their steps in one process, one after the
other, and every connection is closed before the next step opens its own. A run holds the warehouse's lock throughout.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, DbtProject

from orchestration import settings
from orchestration.dbt_run import dbt, succeeded
from orchestration.lock import in_turn, only_run

POOL = "duckdb"
DBT_PROJECT = DbtProject(project_dir=settings.PROJECT_DIR, profiles_dir=settings.PROJECT_DIR)
DBT_SOURCES = ("models", "macros", "seeds", "tests", "dbt_project.yml", "profiles.yml")


class Landing(dg.ConfigurableResource):
    """The home, for whoever looks at what landed and writes nothing."""

    root: str

    @property
    def home(self) -> settings.Home:
        return settings.Home(Path(self.root))


class Warehouse(Landing):
    """The DuckDB file of one home. A run that asks for it waits until no other run holds it."""

    wait_seconds: int = 3600

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Warehouse"]:
        tell = context.log.info if context.log else print
        with only_run(self.home, self.wait_seconds, tell):
            yield self

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A writing connection; the file and its folder are made where they are missing."""
        self.home.warehouse.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(self.home.warehouse)) as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute("set enable_progress_bar = false")  # it would draw into the lines of the run
            yield connection


def build_resources(home: settings.Home) -> dict[str, object]:
    """The resources of one home, by the names under which assets ask for them."""
    return {
        "landing": Landing(root=str(home.root)),
        "warehouse": Warehouse(root=str(home.root)),
        "dbt": DbtCliResource(
            project_dir=DBT_PROJECT,
            dbt_executable=str(Path(sys.executable).parent / "tollgate-dbt"),
            global_config_flags=[],
        ),
    }


def ensure_manifest() -> Path:
    """dbt's manifest, parsed again only where a file of the project is newer.

    Dagster's own `prepare_if_dev` parses at each load and only under `dagster dev`. Raises DbtFailed.
    """
    manifest = DBT_PROJECT.manifest_path
    with in_turn(manifest.with_suffix(".lock")):  # another process may be in the middle of writing it
        if not manifest.exists() or manifest.stat().st_mtime < _newest_source():
            os.environ.setdefault("TOLLGATE_WAREHOUSE", str(settings.home().warehouse))
            succeeded(dbt(settings.PROJECT_DIR, "parse"))
    return manifest


def _newest_source() -> float:
    named = [settings.PROJECT_DIR / name for name in DBT_SOURCES] + [settings.terms_dir()]
    files = [file for path in named for file in ([path] if path.is_file() else path.rglob("*"))]
    return max(file.stat().st_mtime for file in files if file.suffix in {".sql", ".yml", ".md", ".csv"})
