"""The inner verbs, stage to settle: the dbt project as Dagster assets.

Belongs here: the one `@dbt_assets`, how dbt's names become Dagster's, when nothing may be kept of an earlier run. Does
not belong here: SQL, gates.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from orchestration import builds, settings
from orchestration.resources import DBT_PROJECT, POOL, Warehouse, ensure_manifest
from orchestration.sql import quote_name, transaction

# What reading and rating an event depends on, beside its file, and the decks and terms that the models compare.
RULES = (
    "models/stage/**/*.sql",
    "models/rate/*.sql",
    "models/attribute/*.sql",
    "macros/**/*.sql",
    "dbt_project.yml",
    "seeds/reference/*.csv",
    "orchestration/feeds/*.yml",
)
RULES_OF_TERMS = ("routes.csv",)
RULES_TABLE = """
    create schema if not exists ingest;
    create table if not exists ingest.rules_applied (fingerprint varchar not null)
"""


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
    command = ["build", "--exclude-resource-type", "unit_test"]
    # A part of the models cannot say what the others keep, and one without all its tests is not known to be right.
    is_whole = not context.is_subset
    # What changes while dbt runs was not applied to all: the next run must find another fingerprint.
    fingerprint = rules_fingerprint()
    with warehouse.connect() as connection:
        builds.begin(connection)
        if is_whole and kept_by_other_rules(connection, fingerprint):
            forget_rules(connection)
            command.append("--full-refresh")
    yield from dbt.cli(command, context=context).stream()  # raises where a model or a test failed
    if is_whole:
        with warehouse.connect() as connection:
            remember_rules(connection, fingerprint)
            builds.end(connection)
    # Only now: while dbt runs, the warehouse is its own.
    yield from _row_counts(context, warehouse)


def rules_fingerprint(project: Path = settings.PROJECT_DIR) -> str:
    """A hash over the files that say how an event is read, rated and charged: other rules, other results. And over the
    engine, whose hashes are the keys of usage groups."""
    files = {file for pattern in RULES for file in project.glob(pattern)}
    named = [(str(file.relative_to(project)), file) for file in files]
    named += [(name, settings.terms_dir() / name) for name in RULES_OF_TERMS]
    contents = hashlib.sha256(f"duckdb {duckdb.__version__}".encode())
    for name, file in sorted(named):
        contents.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return contents.hexdigest()


def kept_by_other_rules(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> bool:
    """Was what the warehouse keeps of events made by other rules than these, or by nobody knows which?"""
    connection.execute(RULES_TABLE)
    return connection.execute("select fingerprint from ingest.rules_applied").fetchall() != [(fingerprint,)]


def remember_rules(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> None:
    """From now on events are kept that were made by these rules."""
    with transaction(connection):
        forget_rules(connection)
        connection.execute("insert into ingest.rules_applied values (?)", [fingerprint])


def forget_rules(connection: duckdb.DuckDBPyConnection) -> None:
    """The next run reads and rates every event anew."""
    connection.execute(RULES_TABLE)
    connection.execute("delete from ingest.rules_applied")


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
