"""How well does the variance bridge find causes? Carriers with known mistakes, alone and in pairs, through the models.

Belongs here: running the models on simulated carriers, and holding what they found against the truth, which they never
see. Does not belong here: the carriers and their mistakes (`mistakes`).

    python -m simulation.evaluate --seeds 40 --each 2      every case, alone and in pairs, each of two of forty seeds
    python -m simulation.evaluate --seeds 3 --grains all   every case of each seed, and each grain of invoices
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration import feeds, file_ledger, ledger, loading, terms
from orchestration.dbt_run import dbt, succeeded
from simulation.mistakes import GRAINS, Carrier, cases, cases_of_grain, write_carriers
from simulation.terms import Month

NO_CAUSE = "(none)"
CARRIERS_TOGETHER = 400
"""So many go through the models at once: what dbt takes to begin is paid once for them."""


@dataclass
class Score:
    """What was found of the lines that have a cause in truth, and of those that have none."""

    lines: int = 0
    cause_exact: int = 0
    amount_exact: int = 0
    residual_zero: int = 0
    residual_due_zero: int = 0
    false_alarms: int = 0
    told_as: dict[str, Counter] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, told: dict[str, Decimal], found: dict[str, Decimal]) -> None:
        if not told:
            self.false_alarms += bool(found)
            if found:
                self.failures.append(f"{name}: false alarm {_words(found)}")
            return
        self.lines += 1
        causes, amounts = told.keys() == found.keys(), told == found
        self.cause_exact += causes
        self.amount_exact += amounts
        if "RESIDUAL" not in told:
            self.residual_due_zero += 1
            self.residual_zero += "RESIDUAL" not in found
        if not amounts:
            self.failures.append(f"{name}: told {_words(told)}; found {_words(found)}")
        for cause in told:
            row = self.told_as.setdefault(cause, Counter())
            if cause in found:
                row[cause] += 1
            else:
                others = sorted(found.keys() - told.keys())
                row.update(others or [NO_CAUSE])

    def sentence(self) -> str:
        def percent(part: int, whole: int) -> str:
            return f"{100 * part / whole:.1f} %" if whole else "- %"

        return (
            f"lines {self.lines}, cause exact {percent(self.cause_exact, self.lines)}, "
            f"amount exact {percent(self.amount_exact, self.lines)}, "
            f"residual zero {percent(self.residual_zero, self.residual_due_zero)}, false alarms {self.false_alarms}"
        )


def evaluate(folder: Path, drawn: list[tuple[int, tuple[str, ...]]], calls: int, month: str, score: Score) -> None:
    """Writes a carrier for each seed and case below `folder`, runs the models up to the bridge, and adds what they
    found to the score."""
    carriers = write_carriers(folder, drawn, calls, Month.parse(month))
    warehouse = run_models(folder, "+int_variances_bridged", "+int_policies_scored")
    for (seed, _), carrier in zip(drawn, carriers, strict=True):
        judge([carrier], warehouse, f"seed {seed}", score)


def draw(chosen: list[tuple[str, ...]], seeds: int, each: int) -> list[tuple[int, tuple[str, ...]]]:
    """Each case with as many of the seeds, which take turns."""
    return [(1 + (number * each + turn) % seeds, kinds) for number, kinds in enumerate(chosen) for turn in range(each)]


def judge(carriers: list[Carrier], warehouse: Path, name: str, score: Score) -> None:
    """Adds what the models found of these carriers to the score; `name` tells several months apart."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        components = connection.execute(
            """select invoice_lines.carrier_id, invoice_lines.invoice_number, invoice_lines.line_number,
                lower(invoice_lines.destination_name), components.cause,
                components.component_variance_amount
            from reconcile.int_variances_bridged as components
            inner join reconcile.int_invoice_lines_matched as invoice_lines using (invoice_line_id)
            where list_contains($carriers, invoice_lines.carrier_id)""",
            {"carriers": [carrier.carrier_id for carrier in carriers]},
        ).fetchall()
    found: dict[tuple, dict[str, Decimal]] = {}
    for carrier, invoice, line, destination, cause, amount in components:
        # A line that the carrier left out has no number; it is told by its destination.
        key = (carrier, invoice, line) if line is not None else (carrier, destination)
        causes = found.setdefault(key, {})
        causes[cause] = causes.get(cause, Decimal(0)) + amount.normalize()
    for carrier in carriers:
        for key, told in _truth(carrier).items():
            score.add(f"{name} {'+'.join(carrier.kinds) or 'none'} {key}", told, found.pop(key, {}))
    for key, causes in found.items():
        score.add(f"{name} {key}", {}, causes)


def _truth(carrier: Carrier) -> dict[tuple, dict[str, Decimal]]:
    told: dict[tuple, dict[str, Decimal]] = {}
    for line in carrier.lines:
        key = (f"I-{line.invoice}", line.number) if line.number is not None else (carrier.name_of(line.place).lower(),)
        causes = told.setdefault((carrier.carrier_id, *key), {})
        for cause, amount in line.causes.items():
            causes[cause] = causes.get(cause, Decimal(0)) + amount.normalize()
    return told


def run_models(folder: Path, *selected: str) -> Path:
    """Loads `landing/` under the terms of `terms/` and builds what is selected; returns the warehouse."""
    warehouse = folder / "tollgate.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        file_ledger.prepare(connection)
        ledger.prepare(connection, folder)
        for feed in feeds.declared():
            loading.load_feed(connection, feed, folder / "landing")
    before = {name: os.environ.get(name) for name in ("TOLLGATE_TERMS", "TOLLGATE_WAREHOUSE")}
    os.environ |= {"TOLLGATE_TERMS": str(folder / "terms"), "TOLLGATE_WAREHOUSE": str(warehouse)}
    try:
        terms.check()
        succeeded(
            dbt(
                folder,
                "build",
                *("--select", *selected),
                *("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
            )
        )
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return warehouse


def _words(causes: dict[str, Decimal]) -> str:
    return ", ".join(f"{cause} {amount:f}" for cause, amount in sorted(causes.items())) or NO_CAUSE


def confusion(score: Score) -> str:
    """Per cause of the truth: how often it was found, and what stood in its place."""
    lines = []
    for cause, row in sorted(score.told_as.items()):
        instead = ", ".join(f"{other} {count}" for other, count in row.most_common() if other != cause)
        lines.append(f"{cause:<15}{row.total():>7}{row[cause]:>7}  {instead}")
    return "\n".join([f"{'cause':<15}{'lines':>7}{'found':>7}  in its place", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold the causes that the bridge finds against known mistakes.")
    parser.add_argument("--seeds", type=int, default=2, help="how many months of all carriers (default 2)")
    parser.add_argument("--each", type=int, help="of how many seeds each case is (default: of all)")
    parser.add_argument("--calls", type=int, default=500, help="calls per carrier (default 500)")
    parser.add_argument("--month", default="2026-10", help="the month, as YYYY-MM")
    parser.add_argument("--failures", type=int, default=20, help="how many failures are told (default 20)")
    parser.add_argument("--kinds", default="", help="only cases with one of these kinds, by commas")
    parser.add_argument("--grains", default="", help=f"invoices of these instead: all, or {', '.join(GRAINS)}")
    parser.add_argument("--keep", type=Path, help="keep the files and the warehouses below this folder")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.kinds.split(",")))
    grains = GRAINS if arguments.grains == "all" else tuple(filter(None, arguments.grains.split(",")))
    if unknown := set(grains) - set(GRAINS):
        parser.error(f"no grains of invoices: {', '.join(sorted(unknown))}")
    months = [(f"{grain}-", cases_of_grain(grain)) for grain in grains] or [("", cases())]
    with tempfile.TemporaryDirectory() as scratch:
        for name, possible in months:
            chosen = [kinds for kinds in possible if not wanted or wanted & set(kinds)]
            score = Score()
            drawn = draw(chosen, arguments.seeds, arguments.each or arguments.seeds)
            for first in range(0, len(drawn), CARRIERS_TOGETHER):
                folder = (arguments.keep or Path(scratch)) / f"{name}from-{first}"
                folder.mkdir(parents=True)
                together = drawn[first : first + CARRIERS_TOGETHER]
                evaluate(folder, together, arguments.calls, arguments.month, score)
                if len(drawn) > CARRIERS_TOGETHER:
                    print(f"{first + len(together)} carriers: {score.sentence()}", file=sys.stderr, flush=True)
            for failure in score.failures[: arguments.failures]:
                print(failure)
            print(confusion(score))
            print(f"{name.removesuffix('-') or 'by destination'}: {score.sentence()}")


if __name__ == "__main__":
    main()
