"""The inner verbs, stage to settle: the dbt project as Dagster assets.

Belongs here: the one `@dbt_assets` and how dbt's names become Dagster's. Does not belong here: SQL, gates.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from orchestration.resources import DBT_PROJECT, POOL, ensure_manifest


class VerbTranslator(DagsterDbtTranslator):
    """A model's schema is its verb, its key prefix and its group."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))

    def get_group_name(self, dbt_resource_props: dict[str, Any]) -> str | None:
        return dbt_resource_props.get("config", {}).get("schema") or dbt_resource_props.get("schema")


@dbt_assets(
    manifest=ensure_manifest(),
    project=DBT_PROJECT,
    dagster_dbt_translator=VerbTranslator(),
    pool=POOL,
    name="transform",
)
def transform(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Builds what was asked for and holds its laws; a failed one keeps what depends on it from being built.

    Unit tests prove the models, not the month: `make test` runs them.
    """
    yield from dbt.cli(["build", "--exclude-resource-type", "unit_test"], context=context).stream()
