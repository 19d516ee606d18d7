"""What several test files need: dbt's own reading of the project, once per session, outside the working tree.

Belongs here: fixtures that are dear and that nobody changes, and `check`. Does not belong here: helpers of one file.
"""

import fcntl
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import duckdb
import pytest

from orchestration import feeds, file_ledger, ledger, loading, publish
from orchestration.dbt_run import dbt
from orchestration.resources import ensure_manifest
from orchestration.settings import Home
from simulation import mistakes
from simulation.evaluate import run_models
from simulation.mistakes import KINDS, Carrier, write_carriers
from simulation.terms import Month

PROJECT = Path(__file__).resolve().parents[1]
Made = TypeVar("Made")
REAL_FILES = PROJECT.parent / "shared" / "data"
"""Vendors' own files. They may not be passed on, so they lie beside the checkout, where there is one that has them."""

needs_real_files = pytest.mark.skipif(not REAL_FILES.is_dir(), reason=f"the vendors' files are not in {REAL_FILES}")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEMO_EVENTS = 12_000
PAIRS = [
    ("increments", "clock"), ("increments", "rounding"), ("increments", "old_deck"), ("clock", "rounding"),
    ("late_period", "increments"), ("dial_code", "increments"), ("unanswered", "old_deck"), ("slip", "unanswered"),
    ("left_out_day", "increments"), ("nameless", "increments"), ("duplicate", "old_deck"), ("omitted", "tax"),
]  # fmt: skip

# What a test drops is whole; only the test of the watch itself waits for a file to be quiet.
os.environ["TOLLGATE_QUIET_SECONDS"] = "0"


@dataclass(frozen=True)
class DbtProject:
    """The project as dbt reads it, on a warehouse with every source table and no row.

    `deprecations` is what dbt says of outdated syntax, empty if there is none; `manifest` is dbt's, as a dict;
    `compiled` holds the SQL of each model; `parsed` spares the next command of dbt the parsing.
    """

    warehouse: Path
    target: Path
    deprecations: str
    manifest: dict
    compiled: dict[str, str]
    parsed: object

    def nodes(self, resource_type: str) -> dict[str, dict]:
        """All nodes of one type, by name."""
        nodes = self.manifest["nodes"].values()
        return {node["name"]: node for node in nodes if node["resource_type"] == resource_type}


@pytest.fixture(scope="session", autouse=True)
def project_read_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """dbt reads the project once for all workers and commands, each of which only sees that no file has changed."""

    def read(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOLLGATE_WAREHOUSE", str(folder / "tollgate.duckdb"))
            ensure_manifest()

    made_once(tmp_path_factory, "project", read)


@pytest.fixture(scope="session")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    def read(folder: Path) -> dict:
        warehouse = folder / "tollgate.duckdb"
        with duckdb.connect(str(warehouse)) as connection:
            file_ledger.prepare(connection)
            ledger.prepare(connection, folder)
        patch.setenv("TOLLGATE_WAREHOUSE", str(warehouse))
        # What is not read anew is not complained about.
        strict = dbt(folder, "parse", "--no-partial-parse", "--warn-error-options", '{"error": ["Deprecations"]}')
        parsed = strict if strict.success else dbt(folder, "parse")
        assert parsed.success, f"dbt cannot read the project: {parsed.exception}"
        compiled = dbt(folder, "compile", "--select", "resource_type:model", manifest=parsed.result)
        assert compiled.success, f"dbt cannot compile the models: {compiled.exception}"
        return {
            "warehouse": warehouse,
            "target": folder / "target",
            "deprecations": "" if strict.success else str(strict.exception),
            "manifest": parsed.result.writable_manifest().to_dict(omit_none=False),
            "compiled": {
                result.node.name: result.node.compiled_code
                for result in compiled.result.results
                if result.node.resource_type == "model"
            },
        }

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TOLLGATE_", "DBT_"))]:
            patch.delenv(name)
        made = made_once(tmp_path_factory, "dbt_project", read)
        patch.setenv("TOLLGATE_WAREHOUSE", str(made["warehouse"]))
        return DbtProject(**made, parsed=dbt(tmp_path_factory.mktemp("dbt"), "parse").result)


@pytest.fixture(scope="session")
def staged(dbt_project, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function that loads a landing folder into a new warehouse, builds its staging models and gives the file."""

    def stage(landing: Path) -> Path:
        folder = tmp_path_factory.mktemp("staged")
        warehouse = folder / "tollgate.duckdb"
        with duckdb.connect(str(warehouse)) as connection:
            file_ledger.prepare(connection)
            ledger.prepare(connection, folder)
            for feed in feeds.declared():
                loading.load_feed(connection, feed, landing)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOLLGATE_WAREHOUSE", str(warehouse))
            built = dbt(
                folder,
                "build",
                *("--select", "resource_type:seed", "path:models/stage"),
                *("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
                manifest=dbt_project.parsed,
            )
        assert built.success, f"dbt cannot build the staging models: {built.exception}"
        return warehouse

    return stage


def tollgate(
    home: Path, *arguments: str, terms: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOLLGATE_", "DAGSTER_"))}
    environment |= {"TOLLGATE_HOME": str(home)} | ({"TOLLGATE_TERMS": str(terms)} if terms else {}) | variables
    command = [str(Path(sys.executable).parent / "tollgate"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home.parent, timeout=600)


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """What is dear and only read is made by one of the workers of a test run, in a folder of that name, for all."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / f"{name}.pickle"
        if not made.exists():
            (shared / name).mkdir()
            made.write_bytes(pickle.dumps(make(shared / name)))
        return pickle.loads(made.read_bytes())


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A home with a settled demo month, and what the run said. Read only: a test that changes it works on a copy."""

    def make(folder: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
        run = tollgate(folder / "home", "run", "--events", str(DEMO_EVENTS))
        assert run.returncode == 0, run.stdout + run.stderr
        return folder / "home", run

    return made_once(tmp_path_factory, "demo", make)


@dataclass(frozen=True)
class Mistaken:
    """Carriers that make every kind of mistake, alone and in pairs, and a home with what the models found of them.

    Published without a gate, which so many mistakes would not pass.
    """

    carriers: list[Carrier]
    home: Home

    def carrier(self, *kinds: str) -> Carrier:
        """The first one that makes these mistakes."""
        return next(carrier for carrier in self.carriers if carrier.kinds == kinds)

    @property
    def foreign(self) -> Carrier:
        """The one that bills in another currency than its agreement's."""
        return self.carriers[-1]


def bill_in_francs(carrier: Carrier, folder: Path) -> None:
    """Rewrites a carrier's invoice in another currency, of which two units are one of its own, and rounds its total."""
    rates = {"EUR": 1, carrier.currency: 1 if carrier.currency == "EUR" else 3}
    rows = [(currency, rate) for currency, rate in rates.items() if currency != "EUR"]
    rows.append(("CHF", 2 * rates[carrier.currency]))
    columns = ("rate_date", "base_currency", "quote_currency", "rate", "source")
    days = [(date(2026, 10, 30), "EUR", currency, rate, "test") for currency, rate in rows]
    mistakes.write_rows(folder / "landing" / "fx_rates" / "native" / "rates.csv", columns, days)
    carrier.currency = "CHF"
    for line in carrier.lines:
        line.amount, line.rated, line.rate = 2 * line.amount, 2 * line.rated, line.rate and 2 * line.rate
        line.causes = {cause: 2 * amount for cause, amount in line.causes.items()}
    total = mistakes.rounded(sum(Fraction(line.amount) for line in carrier.lines), 0, carrier.mode)
    invoice = folder / "landing" / "carrier_invoices" / "native" / f"{carrier.carrier_id}_1_1.csv"
    rows = [(*row[:-1], total) for row in mistakes._invoice_rows(carrier, 1, 1)]
    mistakes.write_rows(invoice, mistakes.INVOICE_COLUMNS, rows)
    terms = folder / "terms" / "agreements.csv"
    header, *agreements = terms.read_text().splitlines()
    written = [f"{row},{'0' if row.startswith(carrier.carrier_id) else ''}" for row in agreements]
    terms.write_text("\n".join([f"{header},total_rounding_decimals", *written, ""]))


@pytest.fixture(scope="session")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Mistaken:
    """Read only."""
    folder = tmp_path_factory.mktemp("carriers")
    chosen = [(), (), (), *((kind,) for kind in KINDS), *PAIRS, ("increments",)]
    carriers = write_carriers(folder, [(1, kinds) for kinds in chosen], 400, Month.parse("2026-10"))
    bill_in_francs(carriers[-1], folder)

    def make(shared: Path) -> Home:
        home = Home(shared / "home")
        warehouse = run_models(folder, "+path:models/settle")
        home.warehouse.parent.mkdir(parents=True)
        warehouse.rename(home.warehouse)
        with duckdb.connect(str(home.warehouse)) as connection:
            publish.publish(connection, home.published)
        return home

    return Mistaken(carriers, made_once(tmp_path_factory, "mistaken", make))


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: uv sync installs it")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed, none of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


def check(offenders: Iterable[str], rule: str) -> None:
    """Fails with the rule, which says its reason and its remedy, and whoever breaks it."""
    if found := sorted(offenders):
        pytest.fail("\n".join([rule, *(f"  {offender}" for offender in found)]), pytrace=False)
