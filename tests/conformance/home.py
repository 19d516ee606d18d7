"""A warehouse of its own for cases: terms, decks and usage as files, loaded and modelled as always.

Belongs here: the files, running the models over them, and asking. Does not belong here: what a case says (`calls.py`,
`charges.py`).
"""

import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration import feeds, file_ledger, ledger, loading, settings, terms
from orchestration.dbt_run import dbt, succeeded

LONG_AGO = "2000-01-01"
CURRENCY = "EUR"


class BadCase(Exception):
    """A case is not what the schema says; the message names the case and the field."""


@dataclass(frozen=True)
class Fields:
    """The fields of one object of a case. One that nobody asks for is an error, as the schema wants it."""

    where: str
    given: dict

    def read(self, *required: str, **optional: object) -> dict:
        unknown = set(self.given) - {*required, *optional}
        missing = set(required) - set(self.given)
        if unknown or missing:
            raise BadCase(f"{self.where}: unknown {sorted(unknown)}, missing {sorted(missing)}")
        return optional | self.given


class Files:
    """The rows of every table that the cases fill."""

    def __init__(self) -> None:
        tables = ("parties", "accounts", "agreements", "rating_terms", "plans", "plan_tiers", "plan_options")
        self.rows: dict[str, list[dict]] = {name: [] for name in (*tables, "decks", "usage")}

    def write(self, home: settings.Home, terms_folder: Path) -> None:
        """Terms and landing."""
        terms_folder.mkdir()
        write_terms(terms_folder, self.rows)
        land(home, "usage", self.rows["usage"])
        land(home, "rate_decks", self.rows["decks"])


def land(home: settings.Home, kind: str, rows: list[dict], name: str = "cases") -> None:
    """A file of the native feed of this kind."""
    (feed,) = (feed for feed in feeds.declared() if feed.name == f"{kind}__native")
    folder = home.landing / feed.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / f"{name}.csv", [column.name for column in feed.columns], rows)


def write_csv(path: Path, header: list[str], rows: Iterable[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_terms(folder: Path, rows: dict[str, list[dict]]) -> None:
    """A table of terms per file; one that has no rows has its header alone."""
    for demo in terms.DEMO_TERMS.glob("*.csv"):
        with demo.open(newline="") as file:
            header = next(csv.reader(file))
        write_csv(folder / demo.name, header, rows.get(demo.stem, []))


@dataclass(frozen=True)
class Warehouse:
    """A home of its own; `folder` also holds what dbt writes."""

    home: settings.Home
    folder: Path

    def load(self) -> None:
        """What has landed."""
        with self.connect() as connection:
            file_ledger.prepare(connection)
            ledger.prepare(connection, self.home.published)
            for feed in feeds.declared():
                load = loading.load_feed(connection, feed, self.home.landing)
                if load.files_failed or load.rows_quarantined:
                    raise BadCase("; ".join(load.messages))

    def build(self, *models: str) -> None:
        """These models and their tests."""
        terms.check()
        selected = ("--select", *models, "--indirect-selection", "cautious")
        succeeded(dbt(self.folder, "build", *selected, "--exclude-resource-type", "unit_test"))

    def ask(self, query: str) -> list[dict]:
        """What a query in dbt's SQL finds."""
        with redirect_stdout(None):  # dbt would print it
            compiled = succeeded(dbt(self.folder, "compile", "--inline", query)).result.results[0].node.compiled_code
        with self.connect() as connection:
            found = connection.execute(compiled)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.home.warehouse))


@contextmanager
def warehouse_of(files: Files) -> Iterator[Warehouse]:
    """A home with these files landed, loaded, and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tollgate-conformance-"))
    home = settings.Home(folder / "home")
    environment = dict(os.environ)
    os.environ.update(TOLLGATE_WAREHOUSE=str(home.warehouse), TOLLGATE_TERMS=str(folder / "terms"))
    try:
        home.warehouse.parent.mkdir(parents=True)
        files.write(home, folder / "terms")
        warehouse = Warehouse(home, folder)
        warehouse.load()
        yield warehouse
    finally:
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(folder)
