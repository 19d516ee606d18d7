"""One period billed by several runs (schema C): the pipeline runs as often as the longest case asks, over a file of
usage each time, and books; what a run adds to the books is its amount.

Usage that is known in another extent by a later run is the same event, sent again. The months of the cases follow each
other, so that each is over in the run that its case calls final, and the last one never.
"""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from conformance.charges import BY_AMOUNT, READ_REFUSALS, add_event, add_partner, add_plan, at, next_month, refused
from conformance.home import CURRENCY, Fields, Files, land, warehouse_of

from orchestration import ledger

FAMILIES = ("rerating",)
YEAR_OF_FIRST_RUN = 2025
NEVER_OVER = date(2090, 5, 1)

READ_RUN = """
select
    partner_id as case_id,
    posting_date,
    sum(difference_amount) as amount
from {{ ref('fct_partner_charges') }}
where
    plan_id is not null
    and charge_posting_id not in (select booked.charge_posting_id from {{ ref('stg_ledger__charges') }} as booked)
group by partner_id, posting_date
"""
MODELS = ("+fct_partner_charges", "+int_charges_priced", "+int_terms_refused", "+int_rows_refused")


def figures(cases: list[dict]) -> dict[str, dict]:
    """What the models book for each case, run by run."""
    files = Files()
    runs = {case["case_id"]: runs_of(case) for case in cases}
    months = {case_id: month_of(case_runs) for case_id, case_runs in runs.items()}
    for case in cases:
        add_terms(files, case, months[case["case_id"]])
    found: dict[str, dict] = {case["case_id"]: {"runs": []} for case in cases}
    number_of_runs = max(len(case_runs) for case_runs in runs.values())
    first, *others = [usage_of(cases, runs, months, number) for number in range(number_of_runs)]
    files.rows["usage"] = first
    with warehouse_of(files) as warehouse:
        for number, usage in enumerate([first, *others]):
            if number:
                land(warehouse.home, "usage", usage, f"run-{number}")
                warehouse.load()
            warehouse.build(*MODELS)
            booked = {(row["case_id"], row["posting_date"]): row["amount"] for row in warehouse.ask(READ_RUN)}
            with warehouse.connect() as connection:
                ledger.book(connection, (ledger.CHARGES,))
            for case_id, case_runs in runs.items():
                if number < len(case_runs):
                    days = len(case_runs[number]["cumulative_usage"])
                    found[case_id]["runs"].append(amounts(booked, case_id, months[case_id], days))
        refusals = warehouse.ask(READ_REFUSALS)
    for case_id in found:
        found[case_id]["refusals"] = refused(refusals, case_id)
    return found


def amounts(booked: dict, case_id: str, month: date, days: int) -> dict:
    """What a run booked for a case: in all, and on each of its first days."""
    of_days = [booked.get((case_id, month + timedelta(days=day)), Decimal(0)) for day in range(days)]
    of_case = [amount for (partner_id, _), amount in booked.items() if partner_id == case_id]
    return {"amount": sum(of_case, Decimal(0)), "amounts_by_period": of_days}


def runs_of(case: dict) -> list[dict]:
    (runs,) = Fields(f"{case['case_id']}: usage", case["usage"]).read("runs").values()
    return [Fields(f"{case['case_id']}: runs", run).read("cumulative_usage", final_run=False) for run in runs]


def month_of(case_runs: list[dict]) -> date:
    """A month that is over in the run that is final, and not before."""
    for number, run in enumerate(case_runs):
        if run["final_run"]:
            return date(YEAR_OF_FIRST_RUN + number, 5, 1)
    return NEVER_OVER


def add_terms(files: Files, case: dict, month: date) -> None:
    case_id = case["case_id"]
    said = Fields(f"{case_id}: terms", case["terms"]).read("charges", pricing_basis=None, correction_posting=None)
    (charge,) = said["charges"]
    add_partner(files, case_id, {})
    add_plan(
        files, case_id, charge, "DE", month, next_month(month),
        pricing_basis=said["pricing_basis"] if charge["model"] in ("per_unit", "package") else None,
        correction_posting=said["correction_posting"],
    )  # fmt: skip


def usage_of(cases: list[dict], runs: dict, months: dict, number: int) -> list[dict]:
    """The records that the run of this number learns."""
    files = Files()
    year = YEAR_OF_FIRST_RUN + number
    # The month of the cases whose final run this is, is over.
    add_event(files, "nobody", f"nobody {number}", at(date(year, 5, 1), 0), f"{year}-06-01T00:00:00Z")
    for case in cases:
        case_id = case["case_id"]
        if number >= len(runs[case_id]):
            continue
        (charge,) = case["terms"]["charges"]
        for day, used in enumerate(used_between(runs[case_id][number]["cumulative_usage"])):
            by_amount = charge["model"] in BY_AMOUNT
            said = {"quantity": "1", "amount": used, "amount_currency": CURRENCY} if by_amount else {"quantity": used}
            moment = at(months[case_id] + timedelta(days=day), 0)
            add_event(files, case_id, f"{case_id} {day}", moment, f"{year}-05-20T00:00:00Z", **said)
    return files.rows["usage"]


def used_between(readings: list[str]) -> list[str]:
    """What was used up to the first reading of the meter, and from each to the next."""
    return [readings[0], *(f"{Decimal(now) - Decimal(before):f}" for before, now in pairwise(readings))]
