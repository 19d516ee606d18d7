"""How dear is rating, beside the engine's own copying of the same events?

Writes a month of usage and the carriers' decks, loads them, and prints, from one run on one data set:

    (a) the engine copies the staged usage, as Parquet, into a table
    (b) stage and rate: everything from the raw tables to the cost of each event
    (0) the same on an empty warehouse: what dbt takes to begin, whatever there is to do; it is taken off (b)

    uv run benchmarks/rating.py --events 10000000 --deck-rows 300000 --rounds 5

The bound that the project holds: (b) at most 6 times (a). Peak memory is that of the process that runs dbt.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import duckdb

from orchestration import feeds, file_ledger, ledger, loading, settings, terms

CARRIERS = 5
# One code in four is a subscriber's block, the others name a country, a network or a city; every number has some code.
DECK = """
    with codes as (
        select distinct carrier, code
        from (
            select i % {carriers} as carrier, '1' || (hash(i) % pow(10, 2 + hash(i * 3) % 5)::bigint)::varchar as code
            from range({rows}) as numbers(i)
            union all
            select carrier, digit::varchar from range({carriers}) as c(carrier), range(1, 10) as d(digit)
        )
    )
    select
        'carrier-' || carrier as carrier_id, 'voice' as service, 'outbound' as direction, '1' as deck_version,
        'full' as deck_kind, '2026-01-01T00:00:00Z' as received_at, '2026-02-01' as effective_date, code as dial_code,
        'destination ' || left(code, 3) as destination_name, '' as change_type,
        (0.001 + (hash(code) % 90000) / 1000000)::decimal(18, 6)::varchar as rate_amount, 'EUR' as rate_currency,
        '60' as rate_per_quantity, 'second' as rate_unit
    from codes
"""
USAGE = """
    select
        'ev-' || lpad(i::varchar, 11, '0') as event_id,
        'voice' as service,
        'outbound' as direction,
        'account-' || (hash(i) % 50)::varchar as account_id,
        'carrier-' || (hash(i * 7) % {carriers})::varchar as carrier_id,
        '+' || (49300000000 + hash(i * 3) % 99999999)::varchar as origin,
        '+' || (10000000000 + hash(i * 5) % 9999999999)::varchar as destination,
        strftime(timestamp '2026-10-01' + to_seconds(hash(i * 11) % 2678400), '%Y-%m-%dT%H:%M:%SZ') as started_at,
        case when hash(i * 13) % 10 = 0 then 'no_answer' else 'answered' end as status,
        (hash(i) % 600)::varchar as quantity,
        'second' as quantity_unit,
        strftime(timestamp '2026-11-01' + to_seconds(hash(i * 11) % 86400), '%Y-%m-%dT%H:%M:%SZ') as received_at
    from range({rows}) as numbers(i)
"""


def write_terms(folder: Path) -> None:
    """One agreement per carrier, as 60/60, 30/6 or 1/1; the tables that rating does not ask for are empty."""
    folder.mkdir()
    carriers = [f"carrier-{number}" for number in range(CARRIERS)]
    increments = [(60, 60), (30, 6), (1, 1)]
    rows = {
        "parties": [
            {"party_id": one, "party_name": one, "country_code": "DE", "is_carrier": True, "is_partner": False}
            for one in carriers
        ],
        "agreements": [
            {"agreement_id": one, "party_id": one, "party_role": "carrier", "valid_from_date": "2026-01-01",
             "currency": "EUR", "time_zone": "Europe/Berlin", "rounding_mode": "half_up", "payment_days": 30,
             "event_rounding_decimals": 4, "line_rounding_decimals": 2, "tax_ratio": 0}
            for one in carriers
        ],
        "rating_terms": [
            {"agreement_id": one, "service": "voice", "direction": "outbound", "quantity_unit": "second",
             "minimum_quantity": increments[number % 3][0], "increment_quantity": increments[number % 3][1],
             "increment_method": "residual", "charged_on": "answered"}
            for number, one in enumerate(carriers)
        ],
    }  # fmt: skip
    for demo in terms.DEMO_TERMS.glob("*.csv"):
        with demo.open(newline="") as file:
            header = next(csv.reader(file))
        with (folder / demo.name).open("w", newline="") as file:
            writer = csv.DictWriter(file, header)
            writer.writeheader()
            writer.writerows(rows.get(demo.stem, []))


def load(home: settings.Home, events: int, deck_rows: int) -> None:
    """A warehouse with the raw tables filled, by way of the landing."""
    home.warehouse.parent.mkdir(parents=True)
    with duckdb.connect(str(home.warehouse)) as connection:
        file_ledger.prepare(connection)
        ledger.prepare(connection, home.published)
        for kind, name, rows in (("usage", "usage.parquet", events), ("rate_decks", "deck.csv", deck_rows)):
            (feed,) = (feed for feed in feeds.declared() if feed.name == f"{kind}__native")
            folder = home.landing / feed.folder
            folder.mkdir(parents=True)
            query = (USAGE if kind == "usage" else DECK).format(rows=rows, carriers=CARRIERS)
            options = "format parquet" if kind == "usage" else "header"
            duckdb.execute(f"copy ({query}) to '{folder / name}' ({options})")
            result = loading.load_feed(connection, feed, home.landing)
            assert result.rows_loaded, result.messages


def build(home: settings.Home, target: Path, folders: Iterable[str]) -> dict:
    """Seconds, peak mebibytes and the seconds of each model of one `dbt run`, in a process of its own."""
    environment = os.environ | {
        "TOLLGATE_WAREHOUSE": str(home.warehouse),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
    }
    command = [sys.executable, __file__, "--child", *(f"path:models/{folder}" for folder in folders)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stdout + run.stderr)
    results = json.loads((target / "run_results.json").read_text())["results"]
    models = {result["unique_id"].rpartition(".")[2]: result["execution_time"] for result in results}
    return json.loads(run.stdout.splitlines()[-1]) | {"models": models}


def child(selected: list[str]) -> None:
    from dbt.cli.main import dbtRunner

    places = ["--project-dir", str(settings.PROJECT_DIR), "--profiles-dir", str(settings.PROJECT_DIR)]
    started = time.monotonic()
    result = dbtRunner().invoke(["--quiet", "run", *places, "--select", *selected])
    seconds = time.monotonic() - started
    if not result.success:
        sys.exit(str(result.exception or [one.message for one in result.result if one.status == "error"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": peak}))


def copy_staged(home: settings.Home, folder: Path) -> float:
    """Seconds in which the engine copies the staged usage from Parquet into a table."""
    parquet, copy = folder / "staged.parquet", folder / "copy.duckdb"
    if not parquet.exists():
        with duckdb.connect(str(home.warehouse), read_only=True) as connection:
            connection.execute(f"copy (from stage.int_events_collected) to '{parquet}' (format parquet)")
    copy.unlink(missing_ok=True)
    started = time.monotonic()
    with duckdb.connect(str(copy)) as connection:
        connection.execute(f"create table staged as from read_parquet('{parquet}')")
    return time.monotonic() - started


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--deck-rows", type=int, default=300_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--models", action="store_true", help="print the seconds of each model")
    options.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        child(given.child)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_terms(folder / "terms")
        os.environ.update(TOLLGATE_TERMS=str(folder / "terms"), TOLLGATE_QUIET_SECONDS="0")
        terms.hand_to_dbt()
        empty, home = settings.Home(folder / "empty"), settings.Home(folder / "full")
        load(empty, 1, 1)
        load(home, given.events, given.deck_rows)
        for one in (empty, home):
            with_seeds = os.environ | {"TOLLGATE_WAREHOUSE": str(one.warehouse)}
            subprocess.run(
                [str(Path(sys.executable).parent / "dbt"), "--quiet", "seed"],
                env=with_seeds,
                cwd=settings.PROJECT_DIR,
                check=True,
            )
        rounds = []
        for _ in range(given.rounds):
            start_up = build(empty, folder / "target", ("stage", "rate"))["seconds"]
            rated = build(home, folder / "target", ("stage", "rate"))
            copied = copy_staged(home, folder)
            rounds.append({"a": copied, "b": rated["seconds"] - start_up, "0": start_up, "peak": rated["mebibytes"]})
            if given.models:
                slowest = sorted(rated["models"].items(), key=lambda model: -model[1])[:8]
                print("; ".join(f"{model} {seconds:.2f} s" for model, seconds in slowest))
        median = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        ratio = statistics.median(one["b"] / one["a"] for one in rounds)
        print(f"{given.events:,} events, {given.deck_rows:,} deck rows, {CARRIERS} carriers, medians of {given.rounds}")
        print(f"(0) dbt begins            {median['0']:8.2f} s")
        print(f"(a) engine copies usage   {median['a']:8.2f} s")
        print(f"(b) stage and rate        {median['b']:8.2f} s   {ratio:.1f} times (a), peak {median['peak']:,.0f} MiB")


if __name__ == "__main__":
    main()
