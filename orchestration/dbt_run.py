"""dbt on the project: one command in this process, and the program that Dagster starts.

Belongs here: calling dbt, its failures in words, and that it reads the project once and not for each home. Does not
belong here: which models are built and when; Dagster builds those of a run (`transform.py`).
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.settings import PROJECT_DIR

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

MESSAGE_CHARACTERS = 1000
PARSED = PROJECT_DIR / "target" / "partial_parse.msgpack"
"""What dbt keeps of its last reading of the project, for the next one; `resources.ensure_manifest` sees to it."""


class DbtFailed(Exception):
    """dbt could not do what it was told. The message names the first nodes that failed, and why."""


def dbt(folder: Path, command: str, *options: str, manifest: object = None) -> "dbtRunnerResult":
    """One command of dbt on the warehouse that TOLLGATE_WAREHOUSE names; whatever it writes goes into `folder`.

    With the manifest that an earlier `parse` gave, the project is not looked at again; else what changed is read.
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
    if PARSED.exists():
        places["--partial-parse-file-path"] = PARSED
    arguments = [str(part) for place in places.items() for part in place]
    read_once_for_all_homes()
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


def read_once_for_all_homes() -> None:
    """Another warehouse is another profile to dbt, for which it reads the whole project anew: 20 seconds. But no model
    asks where its warehouse lies, so that is left out of what dbt compares.
    """
    from dbt.adapters.duckdb.credentials import DuckDBCredentials

    compared = DuckDBCredentials._connection_keys
    if compared.__module__ != __name__:
        DuckDBCredentials._connection_keys = lambda self: tuple(key for key in compared(self) if key != "path")


def main() -> None:
    """dbt as a program, for Dagster, which also asks for its version; dbt would take seconds to say it."""
    if sys.argv[1:] == ["--version"]:
        print(f"dbt-core {version('dbt-core')}")
        return
    from dbt.cli.main import cli

    read_once_for_all_homes()
    cli()
