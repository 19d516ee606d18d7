"""The inner verbs, stage to settle: the dbt project as Dagster assets.

Belongs here: the one `@dbt_assets` and how dbt's names become Dagster's. Does not belong here: SQL, gates.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from orchestration.resources import DBT_PROJECT, POOL, Warehouse, ensure_manifest
from orchestration.sql import quote_name


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
def transform(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
    """Builds what was asked for and holds its laws; a failed one keeps what depends on it from being built.

    Unit tests prove the models, not the month: `make test` runs them.
    """
    yield from dbt.cli(["build", "--exclude-resource-type", "unit_test"], context=context).stream()
    # Only now: while dbt runs, the warehouse is its own.
    yield from _row_counts(context, warehouse)


def _row_counts(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetObservation]:
    """How many rows each built table has, beside the seconds that dbt gives. Counting a view would run it."""
    with warehouse.connect() as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        for key in sorted(context.selected_asset_keys):
            if tuple(key.path[-2:]) in tables:
                schema, table = key.path[-2:]
                (rows,) = connection.execute(
                    f"select count(*) from {quote_name(schema)}.{quote_name(table)}"
                ).fetchone()
                yield dg.AssetObservation(key, metadata={"rows": rows})
