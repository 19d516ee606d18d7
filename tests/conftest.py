"""What several test files need: dbt's own reading of the project, once per session, outside the working tree.

Belongs here: fixtures that are dear and that nobody changes, and `check`. Does not belong here: helpers of one file.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult

from orchestration import ingest, ledger

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class DbtProject:
    """The project as dbt reads it, on a warehouse with every source table and no row.

    `deprecations` is what dbt says of outdated syntax, empty if there is none; `manifest` is dbt's, as a dict;
    `compiled` holds the SQL of each model.
    """

    warehouse: Path
    target: Path
    deprecations: str
    manifest: dict
    compiled: dict[str, str]

    def nodes(self, resource_type: str) -> dict[str, dict]:
        """All nodes of one type, by name."""
        nodes = self.manifest["nodes"].values()
        return {node["name"]: node for node in nodes if node["resource_type"] == resource_type}


@pytest.fixture(scope="session")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    folder = tmp_path_factory.mktemp("dbt")
    warehouse = folder / "tollgate.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        ingest.prepare(connection)
        ledger.prepare(connection, folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TOLLGATE_", "DBT_"))]:
            patch.delenv(name)
        patch.setenv("TOLLGATE_WAREHOUSE", str(warehouse))
        strict = dbt(folder, "parse", "--warn-error-options", '{"error": ["Deprecations"]}')
        parsed = strict if strict.success else dbt(folder, "parse")
        assert parsed.success, f"dbt cannot read the project: {parsed.exception}"
        compiled = dbt(folder, "compile", "--select", "resource_type:model", manifest=parsed.result)
        assert compiled.success, f"dbt cannot compile the models: {compiled.exception}"
    return DbtProject(
        warehouse=warehouse,
        target=folder / "target",
        deprecations="" if strict.success else str(strict.exception),
        manifest=parsed.result.writable_manifest().to_dict(omit_none=False),
        compiled={
            result.node.name: result.node.compiled_code
            for result in compiled.result.results
            if result.node.resource_type == "model"
        },
    )


def dbt(folder: Path, command: str, *options: str, manifest: object = None) -> dbtRunnerResult:
    """One command of dbt in this process; whatever it writes goes into `folder`."""
    places = {
        "--project-dir": PROJECT,
        "--profiles-dir": PROJECT,
        "--target-path": folder / "target",
        "--log-path": folder / "logs",
    }
    arguments = [str(part) for place in places.items() for part in place]
    return dbtRunner(manifest=manifest).invoke(["--quiet", command, *arguments, *options])


def check(offenders: Iterable[str], rule: str) -> None:
    """Fails with the rule, which says its reason and its remedy, and whoever breaks it."""
    if found := sorted(offenders):
        pytest.fail("\n".join([rule, *(f"  {offender}" for offender in found)]), pytrace=False)
