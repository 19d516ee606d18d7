"""One piece of work in a process of its own: its time, and the most memory that the process held.

Belongs here: how each contestant is started. Does not belong here: on what data, how often, what is compared. Imports
and reading the arguments are not counted. What dbt does before its first model is: it is measured by itself, on an
empty warehouse.

    python benchmarks/measured_runs.py WORK ARGUMENT ...    prints what it took as JSON
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import duckdb

from orchestration import feeds, loading, settings


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu_seconds: float  # of all cores; they tell a machine that was busy with other things
    mebibytes: float
    models: dict[str, float] = field(default_factory=dict)  # seconds of each of dbt's models


def measure(work: Callable[..., Run], *arguments: object, place: Path | None = None, **environment: str) -> Run:
    """What one of the functions below takes, called in a place with an environment."""
    os.sync()  # what was written before is no part of it
    run = subprocess.run(
        [sys.executable, __file__, work.__name__, *map(str, arguments)],
        cwd=place,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{work.__name__} ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    return Run(**json.loads(run.stdout.splitlines()[-1]))


def measure_dbt(home: settings.Home, target: Path, *arguments: str) -> Run:
    """A call of dbt on the warehouse of a home. By a relative name: with another name dbt would parse all anew."""
    run = measure(
        run_dbt,
        *arguments,
        place=home.root,
        TOLLGATE_WAREHOUSE=str(home.warehouse.relative_to(home.root)),
        DBT_TARGET_PATH=str(target),
        DBT_LOG_PATH=str(target),
    )
    results = json.loads((target / "run_results.json").read_text())["results"]
    return replace(run, models={one["unique_id"].split(".")[2]: one["execution_time"] for one in results})


class Clock:
    """Starts when it is made."""

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds = time.monotonic(), time.process_time()

    def stop(self) -> Run:
        return Run(time.monotonic() - self.seconds, time.process_time() - self.cpu_seconds, most_mebibytes())


def run_dbt(*arguments: str) -> Run:
    from dbt.cli.main import dbtRunner

    places = ["--project-dir", str(settings.PROJECT_DIR), "--profiles-dir", str(settings.PROJECT_DIR)]
    clock = Clock()
    result = dbtRunner().invoke(["--quiet", *arguments, *places])
    run = clock.stop()
    if not result.success:
        sys.exit(str(result.exception or [one.message for one in result.result if one.status == "error"]))
    return run


def copy_into_table(parquet: str, warehouse: str) -> Run:
    """The engine alone: a Parquet file becomes a table of a new warehouse."""
    Path(warehouse).unlink(missing_ok=True)
    clock = Clock()
    with duckdb.connect(warehouse) as connection:
        connection.execute(f"create table copied as from read_parquet('{parquet}')")
    return clock.stop()


def join_by_id(events: str, cdrs: str, warehouse: str) -> Run:
    """The engine alone: events and call records, typed and in tables, are joined by an id that both have."""
    with duckdb.connect(warehouse) as connection:
        connection.execute(f"create table events as from read_parquet('{events}')")
        connection.execute(f"create table cdrs as from read_parquet('{cdrs}')")
        clock = Clock()
        connection.execute("create table joined as select * from events join cdrs using (event_id)")
        run = clock.stop()
    Path(warehouse).unlink()
    return run


def load(kind: str, root: str) -> Run:
    """The files of a kind that lie in the landing of a home, into its warehouse."""
    home = settings.Home(Path(root))
    (feed,) = (feed for feed in feeds.declared() if feed.name == f"{kind}__native")
    clock = Clock()
    with duckdb.connect(str(home.warehouse)) as connection:
        result = loading.load_feed(connection, feed, home.landing)
    run = clock.stop()
    assert result.rows_loaded, result.messages
    return run


def rate_in_polars(usage: str, decks: str, terms: str, target: str) -> Run:
    import rating_in_polars

    clock = Clock()
    rating_in_polars.rate(Path(usage), Path(decks), Path(terms), Path(target))
    return clock.stop()


def rate_in_python(records: str, decks: str, terms: str, target: str) -> Run:
    """Only the loop: reading the decks does not grow with the events."""
    import rating_in_python

    carriers = rating_in_python.read_carriers(Path(terms))
    codes = rating_in_python.read_codes(Path(decks), carriers)
    with duckdb.connect() as connection:
        relation = connection.sql(f"from read_parquet('{records}')")
        rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    clock = Clock()
    costs = rating_in_python.rate(rows, codes, carriers)
    run = clock.stop()
    with Path(target).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["event_id", "billed_quantity", "rated_cost_amount"])
        writer.writerows((event_id, *cost) for event_id, cost in costs.items())
    return run


def most_mebibytes() -> float:
    """Of this process only: what getrusage says includes the process that started it."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


WORKS = {work.__name__: work for work in (run_dbt, copy_into_table, join_by_id, load, rate_in_polars, rate_in_python)}

if __name__ == "__main__":
    print(json.dumps(asdict(WORKS[sys.argv[1]](*sys.argv[2:]))))
