"""Publishing: book what the run proposes, then replace what others read, all at once.

Belongs here: the published DuckDB file, its Parquet twin, the manifest, and their Dagster assets. Does not
belong here: deciding whether to publish (`gate.py`), the laws of the books (`ledger.py`).

What others read is one version, a folder that is written once and then never touched:

    published/
      settlement.duckdb -> current/settlement.duckdb      the tables of the schema settle
      parquet           -> current/parquet                the same tables, one file each
      manifest.json     -> current/manifest.json          when, how many rows, which content
      current           -> .versions/<time>               the only thing that is ever replaced
      ledger/postings.parquet, charges.parquet, ...       what is booked

So a reader sees a whole version or the whole one before it, whenever a publication is killed. The version
before the current one stays on disk for those who are still reading it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb

from orchestration import ledger
from orchestration.gate import SCHEMA, VERDICT_KEY, confirm, fingerprints
from orchestration.ledger import seals
from orchestration.resources import POOL, Warehouse
from orchestration.sql import quote_text, transaction

FILE = "settlement.duckdb"
MANIFEST = "manifest.json"
PARQUET = "parquet"
CURRENT = "current"
VERSIONS = ".versions"
STORAGE_VERSION = "v1.2.0"  # what the DuckDB inside BI tools can still open; DuckDB 2.0's own format it cannot


class PublishError(Exception):
    """There is nothing to publish or no place for it; what was published before is untouched."""


@dataclass(frozen=True)
class Publication:
    """What a publication did. Nothing was replaced where `changed_tables` is empty."""

    file: Path
    published_at: str
    rows: dict[str, int]
    changed_tables: list[str]
    booked_postings: int


def publish(connection: duckdb.DuckDBPyConnection, published: Path, gate_reports: Path | None = None) -> Publication:
    """Book, then bring the marts of the schema `settle` to the readers of the folder `published`.

    `connection` is open for writing on the warehouse file, which keeps other processes out meanwhile. With
    `gate_reports`, only what one whole build made and passed the gate whose result lies there is booked and published.
    Raises GateError where it is not that, PublishError where there is no mart, LedgerError where the books
    would not balance; nothing is replaced then.
    """
    contents = fingerprints(connection)
    if gate_reports:
        confirm(connection, contents, gate_reports)
    if not contents:
        raise PublishError(f"the warehouse has no mart in the schema {SCHEMA}; build the models before publishing")
    booked = book(connection, published)
    _clean(published)
    before = _current_manifest(published)
    known = {table: facts["fingerprint"] for table, facts in before["tables"].items()} if before else {}
    changed = sorted(table for table in contents | known if contents.get(table) != known.get(table))
    if changed:
        _switch(published, _write_version(connection, published, contents, replaces=before and before["version"]))
        _clean(published)
    _link(published)
    manifest = _current_manifest(published)
    return Publication(
        file=published / FILE,
        published_at=manifest["published_at"],
        rows={table: facts["rows"] for table, facts in manifest["tables"].items()},
        changed_tables=changed,
        booked_postings=booked,
    )


def book(connection: duckdb.DuckDBPyConnection, published: Path) -> int:
    """Book what the run proposes and export the books; how many postings were new. Safe to repeat."""
    ledger.prepare(connection, published / "ledger")
    booked = ledger.book(connection)
    ledger.export(connection, published / "ledger")
    return booked


# --- Writing a version ----------------------------------------------------------------------------


def _write_version(
    connection: duckdb.DuckDBPyConnection, published: Path, contents: dict[str, str], replaces: str | None
) -> Path:
    """Write a complete new version beside the current one; its folder."""
    now = datetime.now(UTC)
    version = published / VERSIONS / f"{now:%Y%m%dT%H%M%S.%fZ}"
    (version / PARQUET).mkdir(parents=True)
    with _attached(connection, version / FILE), transaction(connection):
        connection.execute(f"create schema publication.{SCHEMA}")
        rows = {table: _copy(connection, table, version) for table in contents}
    (version / FILE).chmod(0o444)  # a tool that opens it for writing would lock out all other readers
    manifest = {
        "published_at": now.isoformat(timespec="seconds"),
        "version": version.name,
        "replaces": replaces,
        "ledger_seal": seals.last(connection),
        "tables": {
            table: {
                "rows": rows[table],
                "fingerprint": fingerprint,
                "parquet": f"{PARQUET}/{table}.parquet",
                "sha256": _sha256(version / PARQUET / f"{table}.parquet"),
            }
            for table, fingerprint in contents.items()
        },
    }
    (version / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _flush(version)
    return version


def _copy(connection: duckdb.DuckDBPyConnection, table: str, version: Path) -> int:
    """Copy one table into the attached publication and to Parquet, in the order of its key; how many rows."""
    target = f'publication.{SCHEMA}."{table}"'
    (rows,) = connection.execute(
        f'create table {target} as from {SCHEMA}."{table}" order by {_order(connection, table)}'
    ).fetchone()
    for commented, comment in _comments(connection, table, target):
        connection.execute(f"comment on {commented} is {quote_text(comment)}")
    file = quote_text(version / PARQUET / f"{table}.parquet")
    connection.execute(f"copy {target} to {file} (format parquet, compression zstd)")
    return rows


def _order(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """The primary key, else all columns: the same content gives the same Parquet file, byte for byte."""
    key = connection.execute(
        """
        select constraint_column_names from duckdb_constraints()
        where database_name = current_database() and schema_name = ? and table_name = ?
            and constraint_type = 'PRIMARY KEY'""",
        [SCHEMA, table],
    ).fetchone()
    return ", ".join(f'"{column}"' for column in key[0]) if key else "all"


def _comments(connection: duckdb.DuckDBPyConnection, table: str, target: str) -> list[tuple[str, str]]:
    """What the models say about a table and its columns, as objects of `comment on` and their texts."""
    return connection.execute(
        """
        select commented, comment
        from (
            select database_name, schema_name, table_name, 'table ' || $3 as commented, comment
            from duckdb_tables()
            union all
            select
                database_name, schema_name, table_name, 'column ' || $3 || '."' || column_name || '"', comment
            from duckdb_columns()
        )
        where database_name = current_database() and schema_name = $1 and table_name = $2
            and comment is not null""",
        [SCHEMA, table, target],
    ).fetchall()


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, file: Path) -> Iterator[None]:
    """Have a new DuckDB file at hand as `publication`; it is complete and closed afterwards."""
    connection.execute(f"attach {quote_text(file)} as publication (storage_version '{STORAGE_VERSION}')")
    try:
        yield
        connection.execute("checkpoint publication")
    finally:
        connection.execute("detach publication")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _flush(version: Path) -> None:
    """Have everything on the disk before the switch: a power cut must not leave a switch to empty files."""
    for path in [*version.rglob("*"), version]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- Switching versions ---------------------------------------------------------------------------


def _switch(published: Path, version: Path) -> None:
    _replace_link(published / CURRENT, f"{VERSIONS}/{version.name}")


def _link(published: Path) -> None:
    """Give the parts of the current version their lasting names."""
    for name in (FILE, PARQUET, MANIFEST):
        if not (published / name).is_symlink():
            _replace_link(published / name, f"{CURRENT}/{name}")


def _replace_link(link: Path, target: str) -> None:
    if link.exists() and not link.is_symlink():
        raise PublishError(f"{link} is in the way: it was not written by a publication; move it aside and run again")
    unfinished = link.with_name(f".{link.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    os.replace(unfinished, link)


def _current_manifest(published: Path) -> dict | None:
    """The manifest of the version that readers see; None where there is none or a part of it is gone."""
    version = published / CURRENT
    if not (version / MANIFEST).exists():
        return None
    manifest = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    parts = [version / FILE, *(version / facts["parquet"] for facts in manifest["tables"].values())]
    return manifest if all(part.exists() for part in parts) else None


def _clean(published: Path) -> None:
    """Remove versions that nobody can be reading any more, and what a killed publication left."""
    manifest = _current_manifest(published)
    kept = {(published / CURRENT).resolve().name, manifest and manifest["replaces"]}
    for version in (published / VERSIONS).glob("*"):
        if version.name not in kept:
            shutil.rmtree(version)


# --- In Dagster's graph ---------------------------------------------------------------------------


@dg.asset(key=["publish", "ledger"], group_name="publish", deps=[VERDICT_KEY], pool=POOL)
def published_ledger(warehouse: Warehouse) -> dg.MaterializeResult:
    """The booked postings, with those that this run proposed; append-only."""
    home = warehouse.home
    with warehouse.connect() as connection:
        confirm(connection, fingerprints(connection), home.reports)
        booked = book(connection, home.published)
        (postings,) = connection.execute(f"select count(*) from {ledger.POSTINGS.table}").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": postings, "booked": booked})


@dg.asset(key=["publish", "settlement"], group_name="publish", deps=[["publish", "ledger"]], pool=POOL)
def published_settlement(warehouse: Warehouse) -> dg.MaterializeResult:
    """The tables of `settle` where BI tools read them, in a DuckDB file and as Parquet."""
    home = warehouse.home
    with warehouse.connect() as connection:
        publication = publish(connection, home.published, home.reports)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(publication.file),
            "published at": publication.published_at,
            "changed tables": dg.MetadataValue.json(publication.changed_tables),
            "rows": dg.MetadataValue.json(publication.rows),
        }
    )


publish_assets = [published_ledger, published_settlement]
