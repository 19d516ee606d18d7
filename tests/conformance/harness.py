"""Public numeric cases (README.md beside this file) through the real models: `make conformance [CASES=file]`.

A case becomes what its owner would write: terms as rows of the terms tables, rates as a deck, usage as events. They are
loaded and modelled as always, and what the models say is compared with what the case expects, as exact decimals.

Belongs here: choosing cases, and comparing. Does not belong here: any arithmetic; what a case says as files is in
`calls.py` and `charges.py`.
"""

import argparse
import json
import sys
from decimal import Decimal
from pathlib import Path

from conformance import calls, charges, runs

CASES = Path(__file__).parent / "cases.jsonl"
SCHEMAS = (calls, charges, runs)


def differences(case: dict, found: dict | None) -> list[str]:
    """Each figure of a case that is not exactly what the models say."""
    if found is None:
        return ["nothing of the case came out of the models"]
    if found.get("refusals"):
        return [f"refused: {found['refusals']}"]
    return list(_unlike("", case["expected"], found))


def _unlike(where: str, expected: object, found: object) -> list[str]:
    if isinstance(expected, dict):
        return [line for name in expected for line in _unlike(f"{where} {name}", expected[name], found.get(name))]
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return [f"{where.strip()}: expected {len(expected)} figures, found {found}"]
        pairs = enumerate(zip(expected, found, strict=True), start=1)
        return [line for number, (one, other) in pairs for line in _unlike(f"{where} {number}", one, other)]
    if found is not None and Decimal(expected) == found:
        return []
    return [f"{where.strip()}: expected {expected}, found {found if found is None else f'{found.normalize():f}'}"]


def run(cases: list[dict]) -> dict[str, list[str]]:
    """The differences of each case."""
    different = {}
    for schema in SCHEMAS:
        if chosen := [case for case in cases if case["family"] in schema.FAMILIES]:
            found = schema.figures(chosen)
            different |= {case["case_id"]: differences(case, found.get(case["case_id"])) for case in chosen}
    return different


def read_cases(path: Path, families: tuple[str, ...] = ()) -> list[dict]:
    """The cases of a file, all or those of some families."""
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if unknown := {case["family"] for case in cases} - {family for schema in SCHEMAS for family in schema.FAMILIES}:
        raise SystemExit(f"{path}: no such family: {', '.join(sorted(unknown))}")
    return [case for case in cases if not families or case["family"] in families]


def main() -> int:
    options = argparse.ArgumentParser(description="Runs public numeric cases through the models.")
    options.add_argument("cases", nargs="?", type=Path, default=CASES, help="a file of cases, one JSON object a line")
    given = options.parse_args()
    found = run(read_cases(given.cases))
    failed = {case_id: unlike for case_id, unlike in found.items() if unlike}
    for case_id, unlike in failed.items():
        print(f"{case_id}: {'; '.join(unlike)}")
    print(f"{len(found) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
