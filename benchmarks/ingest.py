"""How much dearer is a load that finance can trust than the engine's own reading of the same file?

Writes a usage file of so many rows as CSV (gzip) and as Parquet, then loads each in turn with `load_feed` and
with one `create table as` of the engine, each in a process of its own and into a new warehouse, and prints the ratio
of their times (the median of the rounds) and the peak memory of the load.

    uv run benchmarks/ingest.py --rows 10000000 --rounds 3

The bounds that the project holds: at most 1.5 times the engine's time, below 2 GiB.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from orchestration import feeds
from orchestration.file_ledger import prepare
from orchestration.loading import load_feed

COLUMNS = [column.name for feed in feeds.declared() if feed.name == "usage__native" for column in feed.columns]
USAGE = """
    select
        'ev-' || lpad(i::varchar, 10, '0') as event_id,
        'voice' as service,
        'outbound' as direction,
        'account-' || (hash(i) % 50)::varchar as account_id,
        'carrier-' || (hash(i * 7) % 9)::varchar as carrier_id,
        '+' || (49300000000 + hash(i * 3) % 99999999)::varchar as origin,
        '+' || (34600000000 + hash(i * 5) % 99999999)::varchar as destination,
        strftime(timestamp '2026-10-01' + to_seconds(i % 2592000), '%Y-%m-%dT%H:%M:%SZ') as started_at,
        'answered' as status,
        (hash(i) % 600)::varchar as quantity,
        'second' as quantity_unit,
        'true' as is_final_attempt,
        strftime(timestamp '2026-10-01' + to_seconds(i % 2592000 + 60), '%Y-%m-%dT%H:%M:%SZ') as received_at
    from range({rows}) as numbers(i)
"""


def write_files(folder: Path, rows: int) -> dict[str, Path]:
    """The same rows twice, below a landing folder."""
    native = folder / "landing" / "usage" / "native"
    native.mkdir(parents=True)
    files = {"CSV (gzip)": native / "usage.csv.gz", "Parquet": native / "usage.parquet"}
    with duckdb.connect() as connection:
        usage = USAGE.format(rows=rows)
        connection.execute(f"copy ({usage}) to '{files['CSV (gzip)']}' (format csv, header, compression gzip)")
        connection.execute(f"copy ({usage}) to '{files['Parquet']}' (format parquet, compression zstd)")
    return files


def read_by_the_engine(warehouse: Path, file: Path) -> None:
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    source = (
        f"read_parquet('{file}')"
        if file.suffix == ".parquet"
        else f"read_csv('{file}', auto_detect = false, header = true, delim = ',', quote = '\"', columns = {{{types}}})"
    )
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"create table usage as select * from {source}")


def load_by_tollgate(warehouse: Path, file: Path) -> None:
    (feed,) = [feed for feed in feeds.declared() if feed.name == "usage__native"]
    landing = file.parents[2]
    with duckdb.connect(str(warehouse)) as connection:
        prepare(connection)
        result = load_feed(connection, feed, landing, is_wanted=lambda path: path == file)
    assert result.files_loaded == 1, result.messages


READERS = {"engine": read_by_the_engine, "tollgate": load_by_tollgate}


def measure(reader: str, file: Path) -> dict[str, float]:
    """Seconds and peak mebibytes of one load, in a process of its own."""
    run = subprocess.run(
        [sys.executable, __file__, "--child", reader, str(file)], check=True, capture_output=True, text=True
    )
    return json.loads(run.stdout)


def child(reader: str, file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        READERS[reader](Path(folder) / "warehouse.duckdb", file)
        seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--child", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), given.rows)
        for name, file in files.items():
            rounds = [{reader: measure(reader, file) for reader in READERS} for _ in range(given.rounds)]
            engine = statistics.median(one["engine"]["seconds"] for one in rounds)
            ours = statistics.median(one["tollgate"]["seconds"] for one in rounds)
            ratio = statistics.median(one["tollgate"]["seconds"] / one["engine"]["seconds"] for one in rounds)
            memory = max(one["tollgate"]["mebibytes"] for one in rounds)
            print(
                f"{name}, {given.rows:,} rows, {given.rounds} rounds: engine {engine:.2f} s, tollgate {ours:.2f} s, "
                f"ratio {ratio:.2f}, peak {memory:,.0f} MiB"
            )


if __name__ == "__main__":
    main()
