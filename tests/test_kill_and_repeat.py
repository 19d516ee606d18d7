"""Kill and repeat: a load that is killed again and again ends as if nobody had ever killed it.

Belongs here: processes that die in the midst of a load, and what they leave behind. Does not belong here: one load that
nothing disturbs (test_ingest), two runs that meet (test_lock), a publication that dies (test_publish).
"""

import csv
import ctypes
import gzip
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import openpyxl

from orchestration import feeds
from orchestration.feeds import Feed
from orchestration.file_ledger import prepare
from orchestration.loading import load_feed
from orchestration.resources import Warehouse

SEED = 20261001
PATIENCE_SECONDS = 120
SMALL_LOG, USUAL_LOG = "1KB", "16MB"
"""From this size of its log on, DuckDB writes a checkpoint at a commit: at each, or at none of a load this small."""

KINDS = ("usage__native", "fx_rates__native", "rate_decks__workbook", "networks__mcc_mnc")
FEEDS = tuple(feed for feed in feeds.declared() if feed.name in KINDS)

STARTING, BETWEEN, WRITING, COMMITTING, DONE = range(5)
"""How far a loading process is: not loading yet, between two transactions, inside one, at its end, through."""

processes = multiprocessing.get_context("forkserver")
# The server imports once and opens no database, so that what it forks inherits none of DuckDB's threads.
processes.set_forkserver_preload(["pytest", "openpyxl", "orchestration.ingest"])


# --- the landing ----------------------------------------------------------------------------------------------------


@dataclass
class Landing:
    """200 small files of four feeds: most are sound, the others hold what ingest refuses, or bring nothing new."""

    folder: Path
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    serial: int = 0

    def write(self) -> None:
        usage, fx, decks, networks = (next(feed for feed in FEEDS if feed.name == name) for name in KINDS)
        for count, feed, suffix, pack in (
            (35, usage, ".csv", self.csv),
            (30, usage, ".csv.gz", lambda feed: gzip.compress(self.csv(feed), mtime=0)),
            (25, usage, ".jsonl", self.jsonl),
            (15, usage, ".zip", self.zip),
            (30, fx, ".csv", self.csv),
            (10, fx, ".zip", self.zip),
            (25, decks, ".xlsx", self.workbook),
            (30, networks, ".csv", self.csv),
        ):
            self._write(count, feed, suffix, pack)

    def _write(self, count: int, feed: Feed, suffix: str, pack: Callable[[Feed], bytes]) -> None:
        folder = self.folder / feed.folder
        folder.mkdir(parents=True, exist_ok=True)
        content = b""
        for number in range(count):
            # Some have the content of the one before, and one of each format is empty or cut short.
            if number % 13 != 6:
                content = pack(feed)
            if number == 9:
                content = b"" if suffix in (".csv", ".jsonl") else content[: len(content) // 3]
            name = f"carrier_EUR_2026-10-{number + 1:02}" if suffix == ".xlsx" else f"{number:02}"
            (folder / f"{name}{suffix}").write_bytes(content)

    def rows(self, feed: Feed) -> list[dict[str, str]]:
        rows = []
        for _ in range(self.dice.randint(1, 12)):
            self.serial += 1
            rows.append({column.source_name: f"{column.name}-{self.serial}" for column in feed.columns})
        if self.dice.random() < 0.2:
            rows[0][feed.columns[0].source_name] = " "  # required and blank: to quarantine
        return rows

    def csv(self, feed: Feed) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, [column.source_name for column in feed.columns], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows(feed))
        if self.dice.random() < 0.1:
            text.write("too,few\n")  # to quarantine
        return text.getvalue().encode()

    def jsonl(self, feed: Feed) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in self.rows(feed)).encode()

    def zip(self, feed: Feed) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(self.dice.randint(2, 4)):
                archive.writestr(zipfile.ZipInfo(f"{number}.csv"), self.csv(feed))
        return packed.getvalue()

    def workbook(self, feed: Feed) -> bytes:
        book = openpyxl.Workbook()
        book.active.title = "Cover"
        for number in range(self.dice.randint(1, 3)):
            sheet = book.create_sheet(f"Rates {number}")
            sheet.append([column.source_name for column in feed.columns])
            for row in self.rows(feed):
                sheet.append(list(row.values()))
        packed = io.BytesIO()
        book.save(packed)
        return packed.getvalue()


# --- the process that dies ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watched:
    """A connection that tells, in memory that outlives its process, how far its transactions are."""

    connection: duckdb.DuckDBPyConnection
    place: ctypes.c_byte
    commits: ctypes.c_int

    def __getattr__(self, name: str) -> object:
        return getattr(self.connection, name)

    def begin(self) -> None:
        self.connection.begin()
        self.place.value = WRITING

    def commit(self) -> None:
        self.place.value = COMMITTING
        self.connection.commit()
        self.commits.value += 1
        self.place.value = BETWEEN

    def rollback(self) -> None:
        self.connection.rollback()
        self.place.value = BETWEEN


def load(home: Path, landing: Path, log_size: str, place: ctypes.c_byte, commits: ctypes.c_int) -> None:
    """One process, one load of everything."""
    with Warehouse(root=str(home)).connect() as connection:
        connection.execute(f"set wal_autocheckpoint = '{log_size}'")
        prepare(connection)
        place.value = BETWEEN
        for feed in FEEDS:
            load_feed(Watched(connection, place, commits), feed, landing)
        place.value = DONE


@dataclass
class Loader:
    """A running load, and how to wait for a moment of it."""

    home: Path
    landing: Path
    log_size: str = USUAL_LOG

    def __post_init__(self) -> None:
        self.place = processes.Value("b", STARTING, lock=False)
        self.commits = processes.Value("i", 0, lock=False)
        arguments = (self.home, self.landing, self.log_size, self.place, self.commits)
        self.process = processes.Process(target=load, args=arguments, daemon=True)
        self.process.start()

    def wait_until(self, place: int, commits: int = 0) -> None:
        """Waits until the load is there, or over. Turns in place: some moments are shorter than any sleep."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not (self.place.value == place and self.commits.value >= commits):
            is_alive = self.process.is_alive()
            if self.place.value == DONE:
                return
            assert is_alive and time.monotonic() < give_up_at, "the load died by itself, or hangs"

    def end(self) -> None:
        self.process.join(PATIENCE_SECONDS)
        assert self.process.exitcode == 0

    def kill(self) -> int:
        """Where it was when it died."""
        self.process.kill()
        self.process.join(PATIENCE_SECONDS)
        assert self.process.exitcode in (-signal.SIGKILL, 0)
        return self.place.value


# --- what it leaves -------------------------------------------------------------------------------------------------


@contextmanager
def opened_copy(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """What a process left, looked at in a copy: the next process must find the log as the kill left it."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        for file in (home / "warehouse").glob("tollgate.duckdb*"):
            if file.is_file():  # beside the database and its logs there may be a folder to spill into
                shutil.copy(file, folder)
        with duckdb.connect(os.path.join(folder, "tollgate.duckdb")) as connection:
            prepare(connection)  # a process that dies early may not have made its tables yet
            yield connection


def check_invariants(connection: duckdb.DuckDBPyConnection) -> None:
    """What is in the ledger is whole, and nothing is there that is not in the ledger."""
    raw = " union all ".join(f"select _file_id, '{name}' as feed from ingest.{name}" for name in KINDS)
    assert (
        connection.execute(
            f"""
            with raw_rows as (select _file_id as file_id, feed, count(*) as raw_count from ({raw}) group by all),
            quarantined as (
                select file_id, concat(kind, '__', feed) as feed, count(*) as refused_count
                from ingest.quarantine group by all
            ),
            booked as (select *, concat(kind, '__', feed) as name from ingest.files where outcome = 'loaded')
            select booked.file_name, file_id, record_count, loaded_count, quarantined_count, raw_count, refused_count
            from booked
            full join raw_rows using (file_id)
            full join quarantined using (file_id)
            where booked.name is distinct from coalesce(raw_rows.feed, booked.name)
                or booked.name is distinct from coalesce(quarantined.feed, booked.name)
                or booked.name is null
                or booked.loaded_count <> coalesce(raw_count, 0)
                or booked.quarantined_count <> coalesce(refused_count, 0)
                or booked.record_count <> coalesce(raw_count, 0) + coalesce(refused_count, 0)
            """
        ).fetchall()
        == []
    )


def ledger(connection: duckdb.DuckDBPyConnection) -> set[tuple]:
    return set(connection.execute("select file_id, outcome from ingest.files").fetchall())


def contents(home: Path) -> dict[str, list[tuple]]:
    """Every table of ingest, row for row, without the instants of the load."""
    tables = {
        "files": "select * exclude (loaded_at, elapsed_seconds) from ingest.files order by all",
        "quarantine": "select * exclude (loaded_at) from ingest.quarantine order by all",
        **{name: f"select * exclude (_loaded_at) from ingest.{name} order by all" for name in KINDS},
    }
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb"), read_only=True) as connection:
        return {name: connection.execute(query).fetchall() for name, query in tables.items()}


# --- killed and repeated --------------------------------------------------------------------------------------------


def test_a_load_killed_fifty_times_ends_as_if_nobody_had_killed_it(tmp_path: Path):
    landing, undisturbed, killed = tmp_path / "landing", tmp_path / "undisturbed", tmp_path / "killed"
    Landing(landing).write()
    assert sum(path.is_file() for path in landing.rglob("*")) == 200
    for home in (undisturbed, killed):
        home.mkdir()
    Loader(undisturbed, landing).end()
    expected = contents(undisturbed)
    with opened_copy(undisturbed) as connection:
        check_invariants(connection)
        all_lines = ledger(connection)
    outcomes = Counter(outcome for _, outcome in all_lines)
    assert min(outcomes[outcome] for outcome in ("loaded", "duplicate", "failed")) >= 8
    assert len(expected["quarantine"]) >= 20

    dice, deaths, booked, progress = random.Random(SEED), Counter(), set(), []
    places = [STARTING] * 7 + [BETWEEN] * 7 + [WRITING] * 14 + [COMMITTING] * 22
    dice.shuffle(places)
    for kills_left, place in zip(range(len(places), 0, -1), places, strict=True):
        # Files that failed are tried again at each start, before anything new: so many commits bring nothing new.
        # A file has two commits, one before its parts are looked at; a part of a zip has one.
        tried_again = 2 * sum(outcome == "failed" for _, outcome in booked)
        ahead = tried_again + dice.randint(0, 3 * len(all_lines - booked) // (kills_left + 1))
        # A small log makes each commit write a checkpoint: that is where most commits are struck.
        log_size = dice.choice([SMALL_LOG, SMALL_LOG, USUAL_LOG] if place == COMMITTING else [SMALL_LOG, USUAL_LOG])
        loader = Loader(killed, landing, log_size)
        if place == STARTING:
            time.sleep(dice.uniform(0, 0.1))
        else:
            loader.wait_until(place, ahead)
            # A commit is over in a millisecond: half of the kills strike as soon as it has begun.
            time.sleep(dice.choice([0, dice.uniform(0, 0.002)]))
        deaths[loader.kill(), log_size] += 1
        with opened_copy(killed) as connection:
            check_invariants(connection)
            left = ledger(connection)
        assert booked <= left, "what was booked before the kill is gone"
        booked = left
        progress.append(len(booked))

    Loader(killed, landing).end()
    assert contents(killed) == expected
    assert not [path for path in (killed / "warehouse").iterdir() if path.is_dir()], "copies of killed loads are left"
    # The kills were where they should be: all over the load, in the midst of transactions, commits and checkpoints.
    died_at = Counter(place for place, _ in deaths.elements())
    assert died_at[DONE] <= 5, died_at
    assert min(died_at[place] for place in (STARTING, BETWEEN, WRITING, COMMITTING)) >= 3, died_at
    assert deaths[COMMITTING, SMALL_LOG] >= 3, deaths
    quarters = Counter(4 * lines // (len(all_lines) + 1) for lines in progress)
    assert min(quarters[quarter] for quarter in range(4)) >= 5, progress
