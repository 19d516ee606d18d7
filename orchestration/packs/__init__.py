"""Packs: what one sends to the other side, so that it can check it: `tollgate dispute-pack`, `tollgate statement`.

    <pack>/
      letter.html or statement.html    to read and to print
      tables.xlsx  csv/  parquet/      the same tables, three times
      recompute.sql                    adds the totals up again from parquet/, with DuckDB alone
      manifest.json                    what it is made from, and the SHA-256 of every file

Figures are those of the published tables. What is not published, such as the single events behind a line, is read from
the warehouse, and only where it is what was published; a pack is made of both or not at all.

Belongs here: the folder as a whole. Does not belong here: what a pack holds (`dispute.py`, `statement.py`), how tables
are written (`tables.py`).
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration import models_applied, pages, publish
from orchestration.figures import plain, unit
from orchestration.packs.tables import Table, amount_text, write_tables
from orchestration.settings import Home
from orchestration.sql import fetch_rows, quote_text

MANIFEST = "manifest.json"
RECOMPUTE = "recompute.sql"
SQL = Path(__file__).parent
SENDER = """
    select distinct account_holder from tollgate.stage.stg_terms__bank_accounts
    where party_id = 'us' and refusal_reason is null
"""
MINOR_UNITS = "select currency_code, minor_unit_decimals from tollgate.reference.currencies"


class NoPack(Exception):
    """There is nothing to pack, or no place for it. The message says why, and what to do."""


class Contradiction(Exception):
    """What was published, what the warehouse holds and what the pack adds up to are not the same. No pack is made."""


@dataclass
class Pack:
    """All that a pack is made of, before it is a folder. Its tables stand in the schema `pack` of a connection."""

    kind: str
    subject: str
    page: str
    template: str
    tables: list[Table]
    totals: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Packed:
    """A pack that was written."""

    folder: Path
    rows: dict[str, int]
    totals: list[dict[str, Any]]


def minor_units(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Decimals of each currency. The warehouse is attached as `tollgate`."""
    return dict(connection.execute(MINOR_UNITS).fetchall())


def sender_name(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Our company as bank_accounts.csv names it; None where it does not, or not with one name."""
    try:
        found = connection.execute(SENDER).fetchall()
    except duckdb.CatalogException:  # a pack needs no account: the terms may have been built without them
        return None
    return found[0][0] if len(found) == 1 else None


@contextmanager
def sources(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine with the published tables as `published`, the warehouse as `tollgate`, and room for a pack."""
    file = home.published / publish.FILE
    if not file.exists():
        raise NoPack(f"{home.published} holds no publication yet: run `tollgate run`")
    with models_applied.engine(home.warehouse) as connection:
        connection.execute(f"attach {quote_text(file.resolve())} as published (read_only)")
        connection.execute("create schema pack")
        try:
            yield connection
        except models_applied.LACKING as error:
            raise NoPack(models_applied.is_lacking(error)) from error


def check_published(connection: duckdb.DuckDBPyConnection, table: str, where: str, **values: Any) -> None:
    """Raises Contradiction where rows of the warehouse's own table are not those that were published."""
    rows = f"from {{}}.settle.{table} where {where}"
    published, built = rows.format("published"), rows.format("tollgate")
    for one, other in ((published, built), (built, published)):
        difference = f"select count(*) as count from (({one}) except all ({other}))"
        if fetch_rows(connection, difference, **values)[0]["count"]:
            raise Contradiction(
                f"{table} is not what was published: the last run was held back, or has changed it since. "
                "`tollgate status` says what is held back; `tollgate run` settles and publishes"
            )


def write(connection: duckdb.DuckDBPyConnection, home: Home, pack: Pack, target: Path) -> Packed:
    """Writes the folder, has its own recompute.sql add it up, and only then puts it in its place.

    Raises Contradiction where the sum is another one, NoPack where something else is in the way.
    """
    if target.exists() and not _is_pack(target, pack.kind):
        raise NoPack(f"{target} is in the way: it is no such pack. Move it aside, or name another folder with --into")
    manifest = json.loads((home.published / publish.MANIFEST).read_text(encoding="utf-8"))
    published_at = datetime.fromisoformat(manifest["published_at"])
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        decimals = minor_units(connection)
        rows = write_tables(connection, pack.tables, unfinished, decimals, published_at)
        (unfinished / RECOMPUTE).write_text(_recompute_sql(pack.kind), encoding="utf-8")
        totals = recompute(unfinished)
        _check_totals(totals, fetch_rows(connection, pack.totals))
        _write_page(unfinished / pack.page, pack, totals, decimals, published_at)
        _write_manifest(unfinished, pack, rows, totals, manifest)
        # A reader finds the pack before or the whole new one beside it, for a folder cannot be replaced at one blow.
        if target.exists():
            shutil.rmtree(target)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Packed(target, rows, totals)


def _is_pack(folder: Path, kind: str) -> bool:
    """An earlier pack of the kind, which a new one may replace; a publication has a manifest too."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("pack") == kind


def recompute(folder: Path) -> list[dict[str, Any]]:
    """What recompute.sql of a pack gives, as the other side runs it: an engine without anything of ours."""
    with duckdb.connect() as connection:
        connection.execute(f"set file_search_path = {quote_text(folder)}")
        return fetch_rows(connection, (folder / RECOMPUTE).read_text(encoding="utf-8"))


def _recompute_sql(kind: str) -> str:
    """The SQL of a kind of pack, after its own first words the rounding that all of them share."""
    purpose, _, query = (SQL / f"{kind}.sql").read_text(encoding="utf-8").partition("\n\n")
    return "\n\n".join([purpose, rounding_sql(), query])


def rounding_sql() -> str:
    """The rounding of amounts as SQL for an engine that has nothing of ours."""
    return (SQL / "rounding.sql").read_text(encoding="utf-8")


def folder_name(*parts: str | None) -> str:
    """A name for a folder from ids, which may hold anything."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(part for part in parts if part)).strip("-.") or "pack"


def _check_totals(totals: list[dict[str, Any]], published: list[dict[str, Any]]) -> None:
    wrong = [row for row in totals if not row["agrees"]]
    known = {row["id"]: row["amount"] for row in published}
    found = {row["id"]: row["recomputed_amount"] for row in totals}
    if wrong or known != found:
        told = "; ".join(f"{key}: {known.get(key)} published, {found.get(key)} from the pack" for key in known | found)
        raise Contradiction(f"the pack does not add up to what was published ({told})")


def _write_page(
    file: Path, pack: Pack, totals: list[dict[str, Any]], minor_units: dict[str, int], published_at: datetime
) -> None:
    def money(amount: Decimal | None, currency: str) -> str:
        if amount is None:
            return ""
        return f"{Decimal(amount_text(amount, minor_units.get(currency, 2))):,f}"

    environment = pages.environment()
    environment.filters.update(money=money, plain=lambda value: "" if value is None else plain(value), unit=unit)
    page = environment.get_template(pack.template).render(
        pack=pack, totals=totals, published_at=published_at, **pack.facts
    )
    file.write_text(page, encoding="utf-8")


def _write_manifest(
    folder: Path, pack: Pack, rows: dict[str, int], totals: list[dict[str, Any]], published: dict[str, Any]
) -> None:
    files = {
        str(path.relative_to(folder)): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {
        "pack": pack.kind,
        "subject": pack.subject,
        "published_at": published["published_at"],
        "ledger_seal": published["ledger_seal"],
        "totals": {row["id"]: f"{plain(row['recomputed_amount'])} {row['currency']}" for row in totals},
        "tables": {table.name: {"rows": rows[table.name], "holds": table.meaning} for table in pack.tables},
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
