"""Public numeric cases (README.md beside this file) through the real models: `make conformance [CASES=file]`.

A case becomes what its owner would write: terms as rows of the terms tables, rates as a deck, calls as usage. They are
loaded and modelled as always, and what the models say is compared with what the case expects, as exact decimals. Of
the families those of calls are run (`rating`, `duration`).

Belongs here: writing a case's files, and comparing. Does not belong here: any arithmetic; the only sums are those over
the rows of a case, in SQL.
"""

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration import feeds, file_ledger, ledger, loading, settings, terms
from orchestration.dbt_run import dbt, succeeded

CASES = Path(__file__).parent / "cases.jsonl"
CALL_FAMILIES = ("rating", "duration")
LONG_AGO = "2000-01-01"
ANY_TIME = "2024-05-15T10:00:00Z"
# Numbers of the cases may begin with 0 or be missing; an event's destination is an international number.
IN_FRONT_OF_NUMBERS = "9"
CURRENCY = "EUR"

# The exact sum of a case's calls; where calls are rounded one by one, the sum of these.
READ_CALLS = """
with by_rate as (
    select
        carrier_id,
        is_rounded_per_event,
        rate_per_quantity,
        sum(undivided_cost_amount) as undivided_amount,
        sum(rated_cost_amount) as amount,
        sum(rated_cost_including_tax_amount) as amount_including_tax,
        sum(billed_quantity) as billed_seconds,
        string_agg(distinct unrated_reason, ', ') as unrated_reasons
    from {{ ref('int_events_rated') }}
    group by carrier_id, is_rounded_per_event, rate_per_quantity
)
select
    carrier_id as case_id,
    coalesce(sum(
        case
            when is_rounded_per_event then amount
            else {{ divide_and_round('undivided_amount', 'rate_per_quantity', 12, "'half_up'") }}
        end
    ), 0) as amount,
    coalesce(sum(amount_including_tax), 0) as amount_including_tax,
    coalesce(sum(billed_seconds), 0) as billed_seconds,
    string_agg(unrated_reasons, ', ') as unrated_reasons
from by_rate
group by carrier_id
"""


class BadCase(Exception):
    """A case is not what the schema says; the message names the case and the field."""


@dataclass(frozen=True)
class Fields:
    """The fields of one object of a case. One that nobody asks for is an error, as the schema wants it."""

    where: str
    given: dict

    def read(self, *required: str, **optional: object) -> dict:
        unknown = set(self.given) - {*required, *optional}
        missing = set(required) - set(self.given)
        if unknown or missing:
            raise BadCase(f"{self.where}: unknown {sorted(unknown)}, missing {sorted(missing)}")
        return optional | self.given


class Files:
    """The rows of every table that the cases fill."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict]] = {
            name: [] for name in ("parties", "agreements", "rating_terms", "decks", "usage")
        }

    def add_calls(self, case: dict) -> None:
        """A case of schema A: its own carrier with one agreement, one deck and the calls."""
        case_id = case["case_id"]
        agreement = Fields(f"{case_id}: terms", case["terms"]).read(
            "model",
            "rates",
            duration_rounding="none",
            increment_method="residual",
            free_seconds="0",
            attempt_fee_amount="0",
            attempt_fee_scope="every_attempt",
            tax_ratio="0",
            increment_rounding={},
            call_rounding={},
        )
        self.rows["parties"].append(
            {
                "party_id": case_id,
                "party_name": case_id,
                "country_code": "DE",
                "is_carrier": "true",
                "is_partner": "false",
            }
        )
        self.rows["agreements"].append(
            {
                "agreement_id": case_id,
                "party_id": case_id,
                "party_role": "carrier",
                "valid_from_date": LONG_AGO,
                "currency": CURRENCY,
                "time_zone": "UTC",
                "rounding_mode": agreement["call_rounding"].get("mode", "half_up"),
                "event_rounding_decimals": agreement["call_rounding"].get("decimals"),
                "line_rounding_decimals": "2",
                "tax_ratio": agreement["tax_ratio"],
                "payment_days": "30",
            }
        )
        self.rows["rating_terms"].append(
            {
                "agreement_id": case_id,
                "service": "voice",
                "direction": "outbound",
                "quantity_unit": "second",
                "minimum_quantity": "0",
                "increment_quantity": "1",
                "increment_method": agreement["increment_method"],
                "charged_on": "answered",
                "quantity_rounding": agreement["duration_rounding"],
                "increment_rounding_mode": agreement["increment_rounding"].get("mode"),
                "increment_rounding_decimals": agreement["increment_rounding"].get("decimals"),
                "free_quantity": agreement["free_seconds"],
                "attempt_fee_amount": agreement["attempt_fee_amount"],
                "attempt_fee_scope": agreement["attempt_fee_scope"],
            }
        )
        for rate in agreement["rates"]:
            self._add_rate(case_id, rate)
        (calls,) = Fields(f"{case_id}: usage", case["usage"]).read("calls").values()
        for number, call in enumerate(calls):
            self._add_call(case_id, number, call)

    def _add_rate(self, case_id: str, rate: dict) -> None:
        price = Fields(f"{case_id}: rates", rate).read(
            "steps",
            destination_prefix="",
            days=[],
            starts_at="00:00",
            ends_at="24:00",
            connect_fee_amount="0",
            minimum_seconds="0",
            max_charge_amount=None,
        )
        for step in price["steps"]:
            step = Fields(f"{case_id}: steps", step).read(
                "from_second", "rate_amount", "per_seconds", "increment_seconds"
            )
            self.rows["decks"].append(
                {
                    "carrier_id": case_id,
                    "service": "voice",
                    "direction": "outbound",
                    "deck_version": "1",
                    "deck_kind": "full",
                    "received_at": f"{LONG_AGO}T00:00:00Z",
                    "effective_date": LONG_AGO,
                    "dial_code": number_of(price["destination_prefix"]),
                    "destination_name": price["destination_prefix"] or "everywhere",
                    "rate_amount": step["rate_amount"],
                    "rate_currency": CURRENCY,
                    "rate_per_quantity": step["per_seconds"],
                    "rate_unit": "second",
                    "connect_fee_amount": price["connect_fee_amount"],
                    "minimum_quantity": price["minimum_seconds"],
                    "increment_quantity": step["increment_seconds"],
                    "maximum_amount": price["max_charge_amount"],
                    "days": " ".join(price["days"]),
                    "starts_at": price["starts_at"],
                    "ends_at": price["ends_at"],
                    "from_quantity": step["from_second"],
                }
            )

    def _add_call(self, case_id: str, number: int, call: dict) -> None:
        call = Fields(f"{case_id}: calls", call).read(
            "duration_seconds", started_at=ANY_TIME, destination="", answered=True, final_attempt=True
        )
        self.rows["usage"].append(
            {
                "event_id": f"{case_id} {number}",
                "service": "voice",
                "direction": "outbound",
                "account_id": case_id,
                "carrier_id": case_id,
                "destination": number_of(call["destination"]),
                "started_at": call["started_at"],
                "status": "answered" if call["answered"] else "no_answer",
                "quantity": call["duration_seconds"],
                "quantity_unit": "second",
                "is_final_attempt": str(call["final_attempt"]).lower(),
                "received_at": call["started_at"],
            }
        )

    def write(self, home: settings.Home, terms_folder: Path) -> None:
        """Terms and landing."""
        terms_folder.mkdir()
        write_terms(terms_folder, self.rows)
        for kind, name in (("usage", "usage"), ("rate_decks", "decks")):
            (feed,) = (feed for feed in feeds.declared() if feed.name == f"{kind}__native")
            folder = home.landing / feed.folder
            folder.mkdir(parents=True)
            write_csv(folder / "cases.csv", [column.name for column in feed.columns], self.rows[name])


def number_of(digits: str) -> str:
    """A number or prefix of a case as one that an event can have."""
    return IN_FRONT_OF_NUMBERS + digits.removeprefix("+")


def write_csv(path: Path, header: list[str], rows: Iterable[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_terms(folder: Path, rows: dict[str, list[dict]]) -> None:
    """A table of terms per file; one that has no rows has its header alone."""
    for demo in terms.DEMO_TERMS.glob("*.csv"):
        with demo.open(newline="") as file:
            header = next(csv.reader(file))
        write_csv(folder / demo.name, header, rows.get(demo.stem, []))


def run_models(files: Files, query: str) -> list[dict]:
    """Loads and models the rows in a home of their own. Returns what the query, in dbt's SQL, finds afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tollgate-conformance-"))
    home = settings.Home(folder / "home")
    environment = dict(os.environ)
    os.environ.update(TOLLGATE_WAREHOUSE=str(home.warehouse), TOLLGATE_TERMS=str(folder / "terms"))
    try:
        home.warehouse.parent.mkdir(parents=True)
        files.write(home, folder / "terms")
        return _run_models(home, folder, query)
    finally:
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(folder)


def _run_models(home: settings.Home, target: Path, query: str) -> list[dict]:
    with duckdb.connect(str(home.warehouse)) as connection:
        file_ledger.prepare(connection)
        ledger.prepare(connection, home.published)
        for feed in feeds.declared():
            load = loading.load_feed(connection, feed, home.landing)
            if load.files_failed or load.rows_quarantined:
                raise BadCase("; ".join(load.messages))
    terms.hand_to_dbt()
    selected = ("--select", "+int_events_rated", "--indirect-selection", "cautious")
    succeeded(dbt(target, "build", *selected, "--exclude-resource-type", "unit_test"))
    with redirect_stdout(None):  # dbt would print it
        compiled = succeeded(dbt(target, "compile", "--inline", query)).result.results[0].node.compiled_code
    with duckdb.connect(str(home.warehouse)) as connection:
        found = connection.execute(compiled)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def differences(case: dict, found: dict | None) -> list[str]:
    """Each figure of a case that is not exactly what the models say."""
    if found is None:
        return ["no call of the case came out of the models"]
    if found["unrated_reasons"]:
        return [f"unrated: {found['unrated_reasons']}"]
    return [
        f"{figure}: expected {expected}, found {found[figure].normalize():f}"
        for figure, expected in case["expected"].items()
        if Decimal(expected) != found[figure]
    ]


def run(cases: list[dict]) -> dict[str, list[str]]:
    """The differences of each case that was run."""
    files = Files()
    for case in cases:
        files.add_calls(case)
    found = {row["case_id"]: row for row in run_models(files, READ_CALLS)}
    return {case["case_id"]: differences(case, found.get(case["case_id"])) for case in cases}


def read_cases(path: Path) -> list[dict]:
    """The cases of a file that the models answer for."""
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [case for case in cases if case["family"] in CALL_FAMILIES]


def main() -> int:
    options = argparse.ArgumentParser(description="Runs public numeric cases through the models.")
    options.add_argument("cases", nargs="?", type=Path, default=CASES, help="a file of cases, one JSON object a line")
    given = options.parse_args()
    calls = read_cases(given.cases)
    failed = {case_id: found for case_id, found in run(calls).items() if found}
    for case_id, found in failed.items():
        print(f"{case_id}: {'; '.join(found)}")
    print(f"{len(calls) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
