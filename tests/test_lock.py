"""One run at a time: two processes that want the same warehouse, and what becomes of them and of it.

Belongs here: the lock, runs that meet on one home, and a run that died with the lock in its hand. Does not belong here:
what a killed load leaves in the tables (test_kill_and_repeat), what a run computes (test_end_to_end).
"""

import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration import feeds
from orchestration.ingest import ingest_assets
from orchestration.lock import WarehouseBusy, no_run, only_run, why_busy
from orchestration.resources import Warehouse
from orchestration.settings import Home, prepare_environment

EVENTS = 1000
PATIENCE_SECONDS = 120
BUSY = re.compile(
    r"another run holds the warehouse \(process (?P<pid>\d+), since (?P<since>[-\d]{10} [:\d]{8}) UTC\); "
    r"try again when it is done"
)
INGESTED = ("fx_rates__native", "networks__mcc_mnc", "usage__native")

processes = multiprocessing.get_context("forkserver")
# The server imports once and opens no database, so that what it forks inherits none of DuckDB's threads.
processes.set_forkserver_preload(["pytest", "openpyxl", "orchestration.ingest"])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def wait_for(log: Path, words: str, is_alive: Callable[[], bool]) -> None:
    """Waits until a process has written these words."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while words not in (text := log.read_text()):
        assert is_alive() and time.monotonic() < give_up_at, f"{words!r} is not in:\n{text}"
        time.sleep(0.02)


# --- the lock itself ------------------------------------------------------------------------------------------------


def hold(home: Home, is_held: Event, let_go: Event) -> None:
    with only_run(home):
        is_held.set()
        let_go.wait(PATIENCE_SECONDS)


@dataclass
class Holder:
    """Another process that holds the lock of a home."""

    home: Home

    def __post_init__(self) -> None:
        self.is_held, self.let_go = processes.Event(), processes.Event()
        self.process = processes.Process(target=hold, args=(self.home, self.is_held, self.let_go), daemon=True)
        self.process.start()

    @property
    def holds(self) -> bool:
        return self.is_held.wait(PATIENCE_SECONDS)


@contextmanager
def holder(home: Home) -> Iterator[Holder]:
    other = Holder(home)
    try:
        assert other.holds
        yield other
    finally:
        other.let_go.set()
        other.process.join(PATIENCE_SECONDS)


def test_a_second_process_is_told_at_once_who_holds_the_warehouse_and_since_when(home):
    with holder(home) as other:
        started = time.monotonic()
        with pytest.raises(WarehouseBusy) as refused, only_run(home):
            pass
        assert time.monotonic() - started < 0.5
        said = BUSY.fullmatch(str(refused.value))
        assert said and int(said["pid"]) == other.process.pid
        since = datetime.fromisoformat(said["since"]).replace(tzinfo=UTC)
        assert timedelta(seconds=-1) < datetime.now(UTC) - since < timedelta(minutes=1)


def test_nobody_reads_between_the_steps_of_a_run(home):
    with holder(home) as other, pytest.raises(WarehouseBusy) as refused, no_run(home):
        pass
    said = BUSY.fullmatch(str(refused.value))
    assert said and int(said["pid"]) == other.process.pid


def test_readers_do_not_mind_one_another_but_no_run_begins_while_they_read(home):
    with only_run(home):
        pass
    with no_run(home), no_run(home), pytest.raises(WarehouseBusy), only_run(home):
        pass
    with only_run(home):
        pass


def test_who_waits_is_told_once_and_goes_on_when_the_other_is_done(home):
    told = []

    def tell(message: str) -> None:
        told.append(message)
        other.let_go.set()

    with holder(home) as other:
        with only_run(home, wait_seconds=PATIENCE_SECONDS, tell=tell):
            other.process.join(PATIENCE_SECONDS)
            assert other.process.exitcode == 0, "both held it"
        [message] = told
        assert f"process {other.process.pid}" in message and message.endswith("waiting until it is done")


def test_who_waits_gives_up_after_the_time_it_has(home):
    with holder(home):
        started = time.monotonic()
        with pytest.raises(WarehouseBusy, match="another run holds the warehouse"), only_run(home, wait_seconds=0.3):
            pass
        assert 0.3 <= time.monotonic() - started < 1.3


def test_a_holder_that_is_killed_frees_the_warehouse_and_is_not_named_any_more(home):
    dead = Holder(home)
    assert dead.holds
    dead.process.kill()
    dead.process.join(PATIENCE_SECONDS)
    with only_run(home):
        pass
    with holder(home) as other, pytest.raises(WarehouseBusy, match=f"process {other.process.pid},"), only_run(home):
        pass


def test_a_step_inside_a_run_takes_the_lock_again_and_does_not_let_it_go(home):
    with only_run(home):
        with only_run(home):
            pass
        other = Holder(home)
        other.process.join(PATIENCE_SECONDS)
        assert other.process.exitcode == 1 and not other.is_held.is_set(), "it got in between two steps"
    with holder(home):
        pass


def test_a_run_that_fails_lets_the_warehouse_go(home):
    with pytest.raises(ZeroDivisionError), only_run(home):
        _ = 1 / 0
    with holder(home):
        pass


def test_two_homes_do_not_wait_for_each_other(home, tmp_path):
    with holder(home), only_run(Home(tmp_path / "other")):
        pass


# --- two runs of Dagster --------------------------------------------------------------------------------------------


def load(home: Home, said: Path) -> None:
    """One run of Dagster that loads what landed. What it logs and what came out go into files of that name."""
    os.dup2(os.open(said.with_suffix(".log"), os.O_WRONLY), sys.stderr.fileno())
    assets = [asset for asset in ingest_assets() if asset.key.path[-1] in INGESTED]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(assets, instance=instance, resources={"warehouse": Warehouse(root=str(home.root))})
        lines = instance.all_logs(result.run_id)
    worked = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS)
    steps = [line.timestamp for line in lines if line.is_dagster_event and line.dagster_event_type in worked]
    facts = [event.materialization.metadata for event in result.get_asset_materialization_events()]
    counted = {name: sum(fact[name].value for fact in facts) for name in ("files_loaded", "files_skipped")}
    said.write_text(json.dumps({"began": min(steps), "ended": max(steps)} | counted))


def test_two_runs_of_dagster_on_one_home_take_turns(home, tmp_path):
    folder = home.landing / "fx_rates" / "native"
    folder.mkdir(parents=True)
    for day in range(1, 6):
        line = f"2026-10-0{day},EUR,USD,1.1,ECB"
        (folder / f"{day}.csv").write_text(f"rate_date,base_currency,quote_currency,rate,source\n{line}\n")
    with only_run(home):
        runs = []
        for said in (tmp_path / "one.json", tmp_path / "other.json"):
            said.with_suffix(".log").touch()
            run = processes.Process(target=load, args=(home, said), daemon=True)
            run.start()
            runs.append((run, said))
        # Both stand at the door, where they are told who is inside: this process.
        for run, said in runs:
            wait_for(said.with_suffix(".log"), f"holds the warehouse (process {os.getpid()}", run.is_alive)
    for run, said in runs:
        run.join(PATIENCE_SECONDS)
        assert run.exitcode == 0, said.with_suffix(".log").read_text()
    first, second = sorted((json.loads(said.read_text()) for _, said in runs), key=lambda figures: figures["began"])
    assert first["ended"] <= second["began"], "a step of one run stood between two steps of the other"
    assert (first["files_loaded"], first["files_skipped"]) == (5, 0)
    assert (second["files_loaded"], second["files_skipped"]) == (0, 5)


def test_who_may_not_read_is_told_whether_a_run_or_another_program_holds_the_file(home):
    home.warehouse.parent.mkdir(parents=True, exist_ok=True)
    assert why_busy(home, OSError("no lock")) == (
        "the warehouse is in use by another program; try again later (no lock)"
    )
    with only_run(home):
        said = why_busy(home, OSError("no lock"))
    assert re.match(
        rf"another run holds the warehouse \(process {os.getpid()}, since .*\); try again when it is done$", said
    )


# --- the command, killed and started twice --------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """A process that is over: its number, its exit code, and what it said."""

    pid: int
    code: int
    said: str
    complained: str


@dataclass(frozen=True)
class Pair:
    """A home on which one `tollgate run` was killed while it loaded, and then two were started at once."""

    home: Home
    tables_when_killed: set[str]
    settled: Ended
    refused: Ended


def environment_of(home: Home) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOLLGATE_", "DAGSTER_"))}
    # What a killed process leaves half unpacked stays in the folder of the test.
    return kept | {"TOLLGATE_HOME": str(home.root), "TOLLGATE_QUIET_SECONDS": "0", "TMPDIR": str(home.root.parent)}


def start(home: Home, log: Path) -> subprocess.Popen:
    with log.open("w") as stdout:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "tollgate"), "run"],
            env=environment_of(home),
            cwd=home.root.parent,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    from simulation import write_month  # dear to import, and each process of this file imports the file

    folder = tmp_path_factory.mktemp("pair")
    home = Home(folder / "home")
    write_month(home.landing, home.simulation / "truth.json", events=EVENTS)
    # The first feed of all warns of this file as soon as it is through, and then the run is amidst its ingest.
    (home.landing / "carrier_invoices" / "native" / "empty.csv").write_text("")
    killed = start(home, folder / "killed.log")
    try:
        wait_for(folder / "killed.log", "empty.csv: the file is empty", lambda: killed.poll() is None)
    finally:
        killed.kill()
        killed.communicate()
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        kinds = connection.execute("select distinct kind from ingest.files").fetchall()
    logs = [folder / "one.log", folder / "other.log"]
    runs = [start(home, log) for log in logs]
    try:
        complaints = [run.communicate(timeout=5 * PATIENCE_SECONDS)[1] for run in runs]
    finally:
        for run in runs:
            run.kill()  # no one is left behind, whatever happened; of one that is over nothing is killed
    ended = [
        Ended(run.pid, run.returncode, log.read_text(), complaint)
        for run, log, complaint in zip(runs, logs, complaints, strict=True)
    ]
    settled, refused = sorted(ended, key=lambda run: "another run holds" in run.complained)
    return Pair(home, {kind for (kind,) in kinds}, settled, refused)


def test_of_two_commands_at_once_one_settles_and_the_other_says_in_one_line_why_not(pair):
    assert pair.settled.code == 0, pair.settled.said + pair.settled.complained
    assert pair.refused.code == 1
    [line] = pair.refused.complained.splitlines()
    said = BUSY.fullmatch(line.removeprefix("tollgate: "))
    assert said and int(said["pid"]) == pair.settled.pid
    assert "Traceback" not in pair.refused.said and "loaded" not in pair.refused.said


def test_what_was_killed_and_then_met_another_is_whole(pair):
    assert "carrier_invoices" in pair.tables_when_killed and "usage" not in pair.tables_when_killed
    landed = sorted(str(path.relative_to(pair.home.landing)) for path in pair.home.landing.rglob("*") if path.is_file())
    raw = " union all ".join(f"select _file_id from ingest.{feed.name}" for feed in feeds.declared())
    with duckdb.connect(str(pair.home.warehouse), read_only=True) as connection:
        lines = connection.execute("select kind || '/' || feed || '/' || file_name from ingest.files order by 1")
        assert [name for (name,) in lines.fetchall()] == landed, "each file is in the ledger once"
        broken = connection.execute(
            f"""
            with raw_rows as (select _file_id as file_id, count(*) as raw_count from ({raw}) group by all),
            refused_rows as (select file_id, count(*) as refused_count from ingest.quarantine group by all)
            select *
            from (select * from ingest.files where outcome = 'loaded')
            full join raw_rows using (file_id)
            full join refused_rows using (file_id)
            where outcome is null or loaded_count <> coalesce(raw_count, 0)
                or quarantined_count <> coalesce(refused_count, 0)
            """
        )
        assert broken.fetchall() == []
    with duckdb.connect(str(pair.home.published / "settlement.duckdb"), read_only=True) as connection:
        events = connection.execute("select sum(event_count) from settle.fct_usage_daily").fetchone()
    truth = json.loads((pair.home.simulation / "truth.json").read_text())
    assert events == (EVENTS,) == (truth["events"]["true_events"],)


@pytest.fixture
def history(pair, monkeypatch) -> Iterator[dg.DagsterInstance]:
    """What Dagster remembers of the home."""
    for name in ("TOLLGATE_HOME", "TOLLGATE_WAREHOUSE", "DAGSTER_HOME"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what is set below is taken back
    prepare_environment(pair.home)
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_the_run_that_settled_has_its_whole_history(history):
    [run] = [run for run in history.get_runs() if run.is_success]
    observed = history.fetch_observations(dg.AssetKey(["settle", "fct_usage_daily"]), limit=1).records
    assert [record.run_id for record in observed] == [run.run_id]
    assert observed[0].asset_observation.metadata["rows"].value > 0
    published = history.get_latest_materialization_event(dg.AssetKey(["publish", "settlement"]))
    assert published.run_id == run.run_id


def test_a_killed_run_does_not_count_as_one_that_is_still_under_way(history):
    """Dagster starts one run at a time: a dead one that counts would keep it from ever starting another."""
    runs = history.get_runs()
    assert len(runs) == 2 and [run.status.value for run in runs if not run.is_finished] == []
