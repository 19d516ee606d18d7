"""One month in files and warehouses, and the runs that are compared on it.

Belongs here: what each run is given, and that all of them come to the same result. Does not belong here: what lands
(`rating_data.py`), the time of one run (`measured_runs.py`), what the times mean (`rating.py`).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
from measured_runs import Run, copy_into_table, load, measure, measure_dbt, rate_in_polars, rate_in_python
from rating_data import Month

from orchestration import file_ledger, ledger, settings, terms

RATING = ("path:models/stage", "path:models/rate")
ATTRIBUTING = ("path:models/attribute",)
SETTLING = (*RATING, *ATTRIBUTING, "path:models/reconcile", "path:models/settle")
DECK = ("+int_rate_decks_resolved",)
ARRIVALS = ("day", "late")  # how new events come: of the last day and before the invoices, or late and of all days

Runs = Iterator[tuple[str, Run]]  # each with its name, as it is done


class ResultsDiffer(Exception):
    """Two runs that were to be compared do unlike work. The message says where."""


@contextmanager
def prepared(month: Month, sample: int) -> Iterator["Bench"]:
    """A bench with the month's decks and usage. Nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        bench = Bench(Path(folder), month, sample)
        bench.prepare()
        yield bench


class Bench:
    """A home for each state of the warehouse, all below one folder."""

    def __init__(self, folder: Path, month: Month, sample: int) -> None:
        self.folder, self.month = folder, month
        self.empty, self.full, self.invoiced, self.deck = (
            settings.Home(folder / name) for name in ("empty", "full", "invoiced", "deck")
        )
        self.more = {arrival: settings.Home(folder / arrival) for arrival in ARRIVALS}
        self.untouched = settings.Home(folder / "untouched")  # knows the terms, and dbt never ran a model on it
        self.terms, self.target, self.rated = folder / "terms", folder / "target", folder / "rated.parquet"
        self.sampled_one_in = max(1, month.events // sample)
        self.sampled = f"hash(event_id) % {self.sampled_one_in} = 0"

    def prepare(self) -> None:
        """An empty warehouse, and one with the month's decks and usage."""
        self.terms.mkdir()
        self.month.write_terms(self.terms)
        os.environ.update(TOLLGATE_TERMS=str(self.terms), TOLLGATE_QUIET_SECONDS="0")
        terms.check()
        self.untouched.warehouse.parent.mkdir(parents=True)
        with duckdb.connect(str(self.untouched.warehouse)) as connection:
            file_ledger.prepare(connection)
            ledger.prepare(connection, self.untouched.published)
        measure_dbt(self.untouched, self.target, "seed")
        copy_warehouse(self.untouched, self.empty)
        copy_warehouse(self.untouched, self.full)
        self.month.write_decks(landing(self.full, "rate_decks"))
        self.month.write_usage(landing(self.full, "usage"))
        for kind in ("rate_decks", "usage"):
            measure(load, kind, self.full.root)

    def prepare_rivals(self, deck_rows: int) -> None:
        """Invoices for the month, as the rival rates it; more events; the records of a few events; a large deck."""
        self._rate_in_polars(self.full, self.rated)
        self.month.write_invoices(landing(self.invoiced, "carrier_invoices"), self.rated)
        count = max(1, self.month.events // 100)
        for arrival, home in self.more.items():
            file = landing(home, "usage") / f"{arrival}.parquet"
            self.month.write_more_usage(file, count, of_the_last_day=arrival == "day")
            self._rate_in_polars(home, self._rated_of(arrival))
        duckdb.execute(
            f"copy (from read_parquet('{landing(self.full, 'usage')}/*.parquet') where {self.sampled}) "
            f"to '{self.folder}/sample.parquet' (format parquet)"
        )
        Month(0, deck_rows, carriers=1).write_decks(landing(self.deck, "rate_decks"), amended=False)

    def compare_rating(self) -> Runs:
        """(b) and (a)."""
        yield "0b", self.build(self.empty, RATING)
        yield "b", self.build(self.full, RATING)
        yield "a", self._copy("stage.int_events_collected", self.full)

    def compare_attributing(self) -> Runs:
        """(p), on what (b) left."""
        yield "0p", self.build(self.empty, ATTRIBUTING)
        yield "p", self.build(self.full, ATTRIBUTING)

    def compare_settling(self) -> Runs:
        """(o) and (c), and the two arrivals of new events, each in a copy of what it comes to."""
        yield "0c", self.build(self.empty, SETTLING)
        yield "o", self.build(self.full, SETTLING)
        copy_warehouse(self.full, self.invoiced)
        measure(load, "carrier_invoices", self.invoiced.root)
        yield "c", self.build(self.invoiced, SETTLING)
        self._require_equal(self.invoiced, f"read_parquet('{self.rated}')")
        settled = {"day": self.full, "late": self.invoiced}
        for name, models in (("b", RATING), ("c", SETTLING)):
            yield f"i 0{name}", self.build(self.empty, models, anew=False)
            for arrival, home in self.more.items():
                copy_warehouse(settled[arrival], home)
                measure(load, "usage", home.root)
                yield f"i {arrival} {name}", self.build(home, models, anew=False)
                self._require_equal(home, f"read_parquet(['{self.rated}', '{self._rated_of(arrival)}'])")
                home.warehouse.unlink()

    def compare_rivals(self) -> Runs:
        """(d) and (e); the time of the loop is scaled to the whole month."""
        yield "d", self._rate_in_polars(self.full, self.folder / "rated again.parquet")
        sample, rated = self.folder / "sample.parquet", self.folder / "rated.csv"
        run = measure(rate_in_python, sample, landing(self.full, "rate_decks"), self.terms, rated)
        scale = self.sampled_one_in
        yield "e", replace(run, seconds=run.seconds * scale, cpu_seconds=run.cpu_seconds * scale)
        self._require_equal(self.full, f"read_csv('{rated}', all_varchar = true)", self.sampled)

    def compare_deck(self) -> Runs:
        """(k): a large deck, from its file to the prices in force, and the copy of its rows once they are typed."""
        yield "0k", self.build(self.empty, DECK)
        copy_warehouse(self.untouched, self.deck)
        loaded = measure(load, "rate_decks", self.deck.root)
        resolved = self.build(self.deck, DECK)
        yield (
            "k",
            Run(
                loaded.seconds + resolved.seconds,
                loaded.cpu_seconds + resolved.cpu_seconds,
                max(loaded.mebibytes, resolved.mebibytes),
            ),
        )
        yield "k copied", self._copy("stage.int_deck_rows_collected", self.deck)

    def build(self, home: settings.Home, models: tuple[str, ...], *, anew: bool = True) -> Run:
        flags = ("--full-refresh",) if anew else ()
        return measure_dbt(home, self.target, "run", *flags, "--select", *models)

    def _rate_in_polars(self, home: settings.Home, target: Path) -> Run:
        return measure(rate_in_polars, landing(home, "usage"), landing(self.full, "rate_decks"), self.terms, target)

    def _rated_of(self, arrival: str) -> Path:
        return self.folder / f"rated {arrival}.parquet"

    def _copy(self, relation: str, home: settings.Home) -> Run:
        """The engine reads what a relation holds, typed, from Parquet into a table."""
        parquet, copy = self.folder / f"{relation}.parquet", self.folder / "copy.duckdb"
        if not parquet.exists():
            with self.reading(home) as connection:
                connection.execute(f"copy (from {relation}) to '{parquet}' (format parquet)")
        run = measure(copy_into_table, parquet, copy)
        copy.unlink()
        return run

    def _require_equal(self, home: settings.Home, rivals: str, which: str = "true") -> None:
        """Ours and the rivals' know the same events, each with the same quantity and cost."""
        with self.reading(home) as connection:
            different, example = connection.execute(f"""
                with ours as (
                    select event_id[8:] as event_id, billed_quantity, rated_cost_amount -- without 'native:'
                    from rate.int_events_rated
                )
                select count(*), min(coalesce(ours.event_id, rivals.event_id))
                from (from ours where {which}) as ours
                full join {rivals} as rivals on ours.event_id = rivals.event_id
                where
                    ours.event_id is null or rivals.event_id is null
                    or ours.billed_quantity is distinct from rivals.billed_quantity::decimal(18, 3)
                    or ours.rated_cost_amount is distinct from rivals.rated_cost_amount::decimal(38, 12)""").fetchone()
        if different:
            raise ResultsDiffer(
                f"{different:,} events are rated otherwise in {rivals}, one of them is {example}. Times of unlike work "
                "are not compared: find out which of the two is wrong."
            )

    @contextmanager
    def reading(self, home: settings.Home) -> Iterator[duckdb.DuckDBPyConnection]:
        limits = {"memory_limit": "4GiB", "temp_directory": str(self.folder / "aside")}
        with duckdb.connect(str(home.warehouse), read_only=True, config=limits) as connection:
            yield connection


def landing(home: settings.Home, kind: str) -> Path:
    """Where our own files of a kind land."""
    folder = home.landing / kind / "native"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copy_warehouse(source: settings.Home, target: settings.Home) -> None:
    target.warehouse.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.warehouse, target.warehouse)
