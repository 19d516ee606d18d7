"""`tollgate what-if --plan`: a plan's charges on real usage before it is agreed, and where it jumps.

Belongs here: that the answer is what the plan would charge, that the home stays as it is, and what is said of a plan
that nobody can apply. Does not belong here: pricing itself (test_pricing).
"""

import hashlib
import io
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from test_what_if import USAGE_HEADER, settle, write

from orchestration import cli
from orchestration.cli import shared
from orchestration.settings import PROJECT_DIR, Home
from orchestration.what_if import plan, plan_report
from orchestration.what_if.scratch import CannotAnswer

# 1,000 minutes in September, 1,100 in October; the last call is one of October on the partner's clock, in New York.
CALLS = [
    *(("2026-09-10T12:00:00Z", 6000) for _ in range(10)),
    *(("2026-10-10T12:00:00Z", 6600) for _ in range(10)),
    ("2026-11-01T03:30:00Z", 60),
]
PROPOSED = """
plan_id: acme-flat-minutes
partner_id: acme-resale
service: voice
direction: outbound
pricing_model: volume
quantity_unit: minute
charged_on: answered
minimum_quantity: 1
increment_quantity: 1
priced_per_quantity: 1
tiers:
  - {up_to_quantity: 1050, unit_amount: 0.30}
  - {unit_amount: 0.20}
options:
  discount_ratio: 0.1
  minimum_commitment_amount: 250
"""


@pytest.fixture(scope="module")
def home(dbt_project, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which acme-resale has made calls. Read only."""
    home = Home(tmp_path_factory.mktemp("plan") / "home")
    calls = [
        f"{number},voice,outbound,acme-main,nordlink,1212,4930123456,{at},answered,{seconds},second,2026-11-20T00:00:00Z"
        for number, (at, seconds) in enumerate(CALLS)
    ]
    write(home.landing / "usage/native/calls.csv", USAGE_HEADER, calls)
    settle(home, dbt_project.parsed, ("+int_charges_priced",))
    return home


@pytest.fixture(scope="module")
def answered(home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[plan.Answer, str, str]:
    """The answer, and the home's warehouse before and after the question."""
    file = tmp_path_factory.mktemp("proposed") / "plan.yml"
    file.write_text(PROPOSED)
    before = fingerprint(home.warehouse)
    return plan.ask(home, file), before, fingerprint(home.warehouse)


def fingerprint(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_each_month_is_charged_as_agreed_and_as_proposed(answered):
    answer = answered[0]
    assert [(one.month, one.plan_id, one.charge_amount) for one in answer.before] == [
        (date(2026, 9, 1), "acme-voice", Decimal("290")),
        (date(2026, 10, 1), "acme-voice", Decimal("319.29")),
    ]
    # 300.00 less a tenth; 1,101 minutes at 0.20 less a tenth are 198.18, lifted to the commitment.
    assert [(one.plan_id, one.quantity, one.true_up_amount, one.charge_amount) for one in answer.after] == [
        ("acme-flat-minutes", Decimal("1000"), Decimal("0"), Decimal("270")),
        ("acme-flat-minutes", Decimal("1101"), Decimal("51.82"), Decimal("250")),
    ]
    assert answer.replaced_plans == ("acme-voice",) and answer.uncharged_after == ()


def test_a_price_that_falls_where_more_is_used_is_told_with_the_months_it_catches(answered):
    answer = answered[0]
    assert answer.jumps == (plan.Jump(Decimal(1050), Fraction("283.5"), Fraction(189), Fraction(700)),)
    told = json.loads(plan_report.as_json(answer))
    assert told["jumps"] == [{"quantity": "1050", "amount_at": "283.5", "amount_above": "189", "cheaper_from": "700"}]
    assert told["after"][0]["charge_amount"] == "270"


def test_the_home_and_the_project_stay_as_they_are(answered):
    _, before, after = answered
    assert before == after
    copies = PROJECT_DIR / "target" / "terms"
    assert not [file for file in copies.glob("*/plans.csv") if "acme-flat-minutes" in file.read_text()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("plan_id: acme-flat-minutes", "plan: x"), "nobody knows 'plan'"),
        (("pricing_model: volume", ""), "does not say pricing_model"),
        (("  - {unit_amount: 0.20}", "  - {price: 1}"), "nobody knows 'price'"),
        (("options:", "options: [1]\nmore:"), "`options` are names and values"),
        (("plan_id:", "{"), "is no YAML"),
        (("partner_id: acme-resale", "partner_id: bluebird"), "bluebird has no usage of voice outbound"),
        (("  - {unit_amount: 0.20}", "  - {up_to_quantity: 9, unit_amount: 1}"), "tier 2: last_tier_not_open"),
    ],
)
def test_a_plan_that_nobody_can_apply_is_refused_in_words(home, tmp_path, change, message):
    file = tmp_path / "plan.yml"
    file.write_text(PROPOSED.replace(*change))
    with pytest.raises(CannotAnswer, match=message):
        plan.ask(home, file)


def test_the_command_asks_for_one_of_deck_and_plan_and_shows_the_months(home, answered, monkeypatch, tmp_path):
    monkeypatch.setenv("TOLLGATE_HOME", str(home.root))
    (tmp_path / "plan.yml").write_text(PROPOSED)
    neither = CliRunner().invoke(cli.main, ["what-if"])
    assert neither.exit_code == 2 and "Say --deck FILE or --plan FILE" in neither.output
    monkeypatch.setattr(plan, "ask", lambda *_, **__: answered[0])
    said = io.StringIO()
    monkeypatch.setattr(shared, "console", lambda: Console(file=said, width=120))
    shown = CliRunner().invoke(cli.main, ["what-if", "--plan", str(tmp_path / "plan.yml")])
    assert shown.exit_code == 0, shown.output
    assert "Above 1050 the price falls from 283.50 to 189.00 USD, 94.50 less: a volume cliff." in said.getvalue()
    assert "so it was in 2026-09" in said.getvalue()


def test_charges_in_two_currencies_are_never_added_up(answered):
    proposed_in_euro = replace(answered[0], after=tuple(replace(one, currency="EUR") for one in answered[0].after))
    said = io.StringIO()
    plan_report.show(Console(file=said, width=120), proposed_in_euro, {"EUR": 2, "USD": 2})
    together = [line.split()[1] for line in said.getvalue().splitlines() if line.startswith("together")]
    assert together == ["EUR", "USD"]
    assert "%" not in said.getvalue(), "what is charged in another currency is not charged less"
    assert "Charges are in USD as agreed and in EUR as proposed" in said.getvalue()
    assert "to 189.00 EUR" in said.getvalue()
