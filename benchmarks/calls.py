"""How well and how fast are calls found in a carrier's records, where both sides have no id in common?

    make bench-calls
    make bench-calls BENCH="--calls 100000 --rounds 1"       a quick look

Prints precision and recall of the pairs against the known truth, and the time of all models of the match beside the
engine's own join of the same tables by an id that they do not have. What dbt takes to begin is measured apart and taken
off.

Belongs here: what is asked, and the bounds that the project holds. Does not belong here: the data (`call_data.py`), the
time of one run (`measured_runs.py`).
"""

import argparse
import os
import statistics
from pathlib import Path

from call_data import CallMonth
from measured_runs import Run, join_by_id, load, measure
from rating import CORES, tell, verdict
from rating_rounds import RATING, Bench, landing, prepared

MATCH = ("path:models/reconcile/calls",)
LEAST_FOUND = 0.999
MOST_OF_A_JOIN = 10
MOST_MEBIBYTES = 4 * 1024


def match(bench: Bench, month: CallMonth, rounds: int) -> list[dict[str, Run]]:
    month.write_cdrs(landing(bench.full, "carrier_cdrs"))
    measure(load, "carrier_cdrs", bench.full.root)
    for home in (bench.empty, bench.full):
        bench.build(home, RATING)
    events, cdrs = bench.folder / "events.parquet", bench.folder / "cdrs.parquet"
    truth = truth_of(bench, month)
    with bench.reading(bench.full) as connection:
        connection.execute(f"copy (from rate.int_events_rated) to '{events}' (format parquet)")
        connection.execute(
            f"copy (select * from stage.int_cdrs_deduplicated join read_parquet('{truth}') using (cdr_id)) "
            f"to '{cdrs}' (format parquet)"
        )
    found = []
    for number in range(1, rounds + 1):
        runs = {
            "0": bench.build(bench.empty, MATCH),
            "match": bench.build(bench.full, MATCH),
            "join": measure(join_by_id, events, cdrs, bench.folder / "joined.duckdb"),
        }
        tell(f"round {number}: " + ", ".join(f"({name}) {run.seconds:.1f} s" for name, run in runs.items()))
        found.append(runs)
    return found


def truth_of(bench: Bench, month: CallMonth) -> Path:
    file = bench.folder / "truth.parquet"
    if not file.exists():
        month.write_truth(file)
    return file


def report_pairs(bench: Bench, month: CallMonth) -> None:
    """A call that is listed twice is found where either record is."""
    with bench.reading(bench.full) as connection:
        pairs, right, known = connection.execute(f"""
            with truth as (from read_parquet('{truth_of(bench, month)}')),
            pairs as (
                select event_id, cdr_id from reconcile.int_calls_matched
                where event_id is not null and cdr_id is not null
            )
            select
                (select count(*) from pairs),
                (select count(*) from pairs join truth using (event_id, cdr_id)),
                (select count(distinct event_id) from truth)""").fetchone()
        classes = connection.execute(
            "select match_class, count(*) from reconcile.int_calls_matched group by all order by 2 desc"
        ).fetchall()
    print(", ".join(f"{count:,} {name}" for name, count in classes))
    for name, value in (("precision", right / pairs), ("recall", right / known)):
        print(f"{name:<50} {value:9.5f}   {verdict(value, 'at least', LEAST_FOUND)}")


def report_times(rounds: list[dict[str, Run]]) -> None:
    matches = [runs["match"].seconds - runs["0"].seconds for runs in rounds]
    joins = [runs["join"].seconds for runs in rounds]
    print(f"{'seconds of the match':<50} {statistics.median(matches):9.2f}")
    print(f"{'seconds of the join':<50} {statistics.median(joins):9.2f}")
    value = statistics.median(match / join for match, join in zip(matches, joins, strict=True))
    print(f"{'the match, by the join':<50} {value:9.2f}   {verdict(value, 'at most', MOST_OF_A_JOIN)}")
    memory = max(runs["match"].mebibytes for runs in rounds)
    print(f"{'peak MiB of the match':<50} {memory:9,.0f}   {verdict(memory, 'at most', MOST_MEBIBYTES)}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--models", action="store_true", help="print what each model takes")
    given = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    tell("writing and loading the month")
    month = CallMonth(given.calls)
    with prepared(month, sample=1) as bench:
        rounds = match(bench, month, given.rounds)
        report_pairs(bench, month)
        report_times(rounds)
        if given.models:
            for model, seconds in sorted(rounds[-1]["match"].models.items(), key=lambda one: -one[1]):
                print(f"    {model:<46} {seconds:9.2f}")


if __name__ == "__main__":
    main()
