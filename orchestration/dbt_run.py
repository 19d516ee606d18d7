"""dbt in this process: one command on the project.

Belongs here: calling dbt, and its failures in words. Does not belong here: which models are built and when; Dagster
builds those of a run (`transform.py`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.settings import PROJECT_DIR

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

MESSAGE_CHARACTERS = 1000


class DbtFailed(Exception):
    """dbt could not do what it was told. The message names the first nodes that failed, and why."""


def dbt(folder: Path, command: str, *options: str, manifest: object = None) -> "dbtRunnerResult":
    """One command of dbt on the warehouse that TOLLGATE_WAREHOUSE names; whatever it writes goes into `folder`.

    With the manifest that an earlier `parse` gave, the project is not read again.
    """
    # Dear to import, and not needed by whoever only asks for a state.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    places = {
        "--project-dir": PROJECT_DIR,
        "--profiles-dir": PROJECT_DIR,
        "--target-path": folder / "target",
        "--log-path": folder / "logs",
    }
    arguments = [str(part) for place in places.items() for part in place]
    try:
        return dbtRunner(manifest=manifest).invoke(["--quiet", *command.split(), *arguments, *options])
    finally:
        # Else this process keeps the warehouse open until it ends, and nobody else can have it.
        DuckDBConnectionManager.close_all_connections()


def succeeded(result: "dbtRunnerResult") -> "dbtRunnerResult":
    """The result, if nothing failed. Raises DbtFailed, and again a Ctrl-C that dbt took for a failure."""
    if result.success:
        return result
    if isinstance(result.exception, KeyboardInterrupt):
        raise result.exception
    failed = [node for node in getattr(result.result, "results", None) or [] if node.status in ("error", "fail")]
    told = "; ".join(f"{node.node.name}: {node.message}" for node in failed) or str(result.exception)
    raise DbtFailed(told[:MESSAGE_CHARACTERS]) from result.exception
