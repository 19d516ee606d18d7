"""How dear is it to settle a month, beside the engine's own copying, Polars and plain Python, on the same data?

    make bench                                                    the whole comparison
    make bench BENCH="--events 1000000 --rounds 1"                a quick look
    make bench BENCH="--scaling 1000000 10000000 100000000"       how time and memory grow with the month

What dbt takes to begin, whatever there is to do, is measured in each round on an empty warehouse, printed apart, and
taken off. A ratio is that of two runs of one round; what is printed is the median of the rounds.

Belongs here: what is asked, and the bounds that the project holds. Does not belong here: the runs
(`rating_rounds.py`), the data (`rating_data.py`).
"""

import argparse
import math
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace

from measured_runs import Run
from rating_data import Month
from rating_rounds import ARRIVALS, Bench, ResultsDiffer, prepared

CORES = 2
MOST_MEBIBYTES = 6 * 1024
MOST_POWER = 1.1
BYTES_OF_AN_EVENT = 700  # on the disk while a month is rated: its files and tables, and what the engine lays aside
SLOWEST_SHOWN = 8

Round = dict[str, Run]

# (0), with the letter of a run, is what dbt takes to begin that run, whatever there is to do.
RUNS = {
    "0b": "dbt begins stage and rate",
    "0p": "dbt begins attribute",
    "0c": "dbt begins stage to settle",
    "a": "the engine copies the typed usage into a table",
    "b": "stage and rate",
    "p": "attribute: what partners are charged, and their shares",
    "o": "stage to settle, before the carriers' invoices come",
    "c": "stage to settle",
    "d": "the same rating by hand in Polars",
    "e": "the same rating in a loop of Python, scaled from a sample",
    "i 0b": "dbt begins stage and rate once more",
    "i day b": "... with 1 % new events, of the last day",
    "i late b": "... with 1 % late events, of all days",
    "i 0c": "dbt begins stage to settle once more",
    "i day c": "... with 1 % new events, of the last day, before the invoices",
    "i late c": "... with 1 % late events, of all days, which no invoice has",
    "0k": "dbt begins to resolve a deck",
    "k copied": "the engine copies a typed deck into a table",
    "k": "the same deck is loaded and resolved",
}
BEGINS = {"b": "0b", "p": "0p", "o": "0c", "c": "0c", "k": "0k"} | {
    f"i {arrival} {run}": f"i 0{run}" for arrival in ARRIVALS for run in ("b", "c")
}
# One run by another one: what that says, and the bound that the project holds.
RATIOS = [
    ("b", "a", "stage and rate, by the copy", "at most", 6),
    ("p", "b", "attribute, by stage and rate", "at most", 1),
    ("c", "a", "stage to settle, by the copy", "at most", 10),
    ("d", "b", "Polars, by stage and rate", "at least", 3),
    ("e", "b", "a loop of Python, by stage and rate", None, None),
    ("i day c", "o", "1 % of the last day, by stage to settle of the month", "at most", 0.05),
    ("i late c", "c", "1 % late, by stage to settle of the month", "at most", 0.05),
    ("i day b", "b", "1 % of the last day, by stage and rate of the month", None, None),
    ("i late b", "b", "1 % late, by stage and rate of the month", None, None),
    ("k", "k copied", "a deck, by its copy", "at most", 4),
]


def net(runs: Round, name: str) -> Run:
    """A run without what dbt takes to begin it."""
    run = runs[name]
    if name not in BEGINS:
        return run
    begins = runs[BEGINS[name]]
    return replace(run, seconds=run.seconds - begins.seconds, cpu_seconds=run.cpu_seconds - begins.cpu_seconds)


def ratio(runs: Round, name: str, other: str) -> float:
    return net(runs, name).seconds / net(runs, other).seconds


def verdict(value: float, word: str | None, bound: float | None) -> str:
    if word is None or bound is None:
        return ""
    is_held = value <= bound if word == "at most" else value >= bound
    return f"{word} {bound:,g}: {'held' if is_held else 'MISSED'}"


def compare(given: argparse.Namespace) -> None:
    month = Month(given.events, given.deck_rows, given.carriers, given.partners)
    tell("writing and loading the month")
    with prepared(month, given.sample) as bench:
        bench.prepare_rivals(given.large_deck_rows)
        rounds = [one_round(bench, f"round {number} of {given.rounds}") for number in range(1, given.rounds + 1)]
    print(
        f"{given.events:,} events, {given.deck_rows:,} deck rows, {given.carriers} carriers, "
        f"{given.partners} partners; a deck of {given.large_deck_rows:,} rows\n"
        f"medians of {given.rounds} on {len(os.sched_getaffinity(0))} cores; what dbt takes to begin is taken off\n"
    )
    report_runs(rounds)
    report_ratios(rounds)
    if given.models:
        report_models(rounds)


def one_round(bench: Bench, name: str) -> Round:
    runs: Round = {}
    for comparison in (
        bench.compare_rating,
        bench.compare_attributing,
        bench.compare_settling,
        bench.compare_rivals,
        bench.compare_deck,
    ):
        for run, taken in comparison():
            tell(f"{name}: ({run}) {taken.seconds:.1f} s")
            runs[run] = taken
    return runs


def report_runs(rounds: Sequence[Round]) -> None:
    print(f"{'':<69} {'seconds':>9} {'CPU':>9} {'peak MiB':>9}")
    for name, description in RUNS.items():
        runs = [net(one, name) for one in rounds]
        seconds, cpu = (
            statistics.median(run.seconds for run in runs),
            statistics.median(run.cpu_seconds for run in runs),
        )
        memory = max(run.mebibytes for run in runs)
        print(f"{f'({name})':<11}{description:<58} {seconds:9.2f} {cpu:9.2f} {memory:9,.0f}")
    print()


def report_ratios(rounds: Sequence[Round]) -> None:
    for name, other, description, word, bound in RATIOS:
        value = statistics.median(ratio(runs, name, other) for runs in rounds)
        print(f"{f'({name}) / ({other})':<18}{description:<51} {value:9.3f}   {verdict(value, word, bound)}")
    memory = max(runs[name].mebibytes for runs in rounds for name in BEGINS)
    print(f"{'peak MiB of ours':<69} {memory:9,.0f}   {verdict(memory, 'at most', MOST_MEBIBYTES)}")


def report_models(rounds: Sequence[Round]) -> None:
    """Two models run at a time, so the shares may add up to more than the whole."""
    for name in ("b", "p", "c"):
        whole = statistics.median(net(runs, name).seconds for runs in rounds)
        models = {
            model: statistics.median(runs[name].models[model] for runs in rounds) for model in rounds[0][name].models
        }
        print(f"\nthe slowest models of ({name})")
        for model, seconds in sorted(models.items(), key=lambda one: -one[1])[:SLOWEST_SHOWN]:
            print(f"    {model:<64} {seconds:9.2f} {seconds / whole:9.1%}")


def grow(given: argparse.Namespace) -> None:
    """(a) and (b) once for each size."""
    rounds: dict[int, Round] = {}
    for events in sorted(given.scaling):
        needed = events * BYTES_OF_AN_EVENT
        if shutil.disk_usage(tempfile.gettempdir()).free < needed:
            sys.exit(
                f"{events:,} events need about {needed / 1e9:,.0f} GB in {tempfile.gettempdir()}, more than is free "
                "there. Set TMPDIR to a folder with room, or leave that size out."
            )
        tell(f"writing and loading {events:,} events")
        month = Month(events, given.deck_rows, given.carriers, given.partners)
        with prepared(month, given.sample) as bench:
            shutil.rmtree(bench.full.landing)  # loaded: the disk is needed for what follows
            rounds[events] = runs = dict(bench.compare_rating())
        copied, rated = net(runs, "a"), net(runs, "b")
        print(
            f"{events:>13,} events: (a) {copied.seconds:8.2f} s, (b) {rated.seconds:8.2f} s, "
            f"(b) / (a) {ratio(runs, 'b', 'a'):6.2f}, peak of (b) {rated.mebibytes:7,.0f} MiB   "
            f"{verdict(rated.mebibytes, 'at most', MOST_MEBIBYTES)}",
            flush=True,
        )
    if len(rounds) > 1:
        power = statistics.linear_regression(
            [math.log(events) for events in rounds],
            [math.log(net(runs, "b").seconds) for runs in rounds.values()],
        ).slope
        print(f"(b) grows with the events to the power of {power:.3f}   {verdict(power, 'at most', MOST_POWER)}")


def tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=10_000_000)
    options.add_argument("--deck-rows", type=int, default=300_000, help="of all carriers, without the amendments")
    options.add_argument("--carriers", type=int, default=5)
    options.add_argument("--partners", type=int, default=1000, help="each with twenty rows of plans and shares")
    options.add_argument("--large-deck-rows", type=int, default=1_000_000, help="of the deck of (k)")
    options.add_argument("--sample", type=int, default=100_000, help="events that the loop of Python rates")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--models", action="store_true", help="print what the slowest models take of (b) and (c)")
    options.add_argument(
        "--scaling", type=int, nargs="+", metavar="EVENTS", help="only (a) and (b), once for each size"
    )
    given = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # who stops it leaves no gigabytes behind
    try:
        (grow if given.scaling else compare)(given)
    except ResultsDiffer as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
