"""The bridge on carriers with known mistakes: a small version of `make evaluate`, and what its own truth is worth."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from simulation.evaluate import Score, judge
from simulation.mistakes import Carrier, rounded
from simulation.terms import Month

MONTH = Month.parse("2026-10")


@pytest.fixture(scope="module")
def score(mistaken) -> Score:
    found = Score()
    judge(mistaken.carriers, mistaken.home.warehouse, "seed 1", found)
    return found


def test_causes_and_amounts_of_known_mistakes_are_found(score):
    told = "\n".join(score.failures)
    assert score.lines > 250
    assert score.cause_exact >= 0.99 * score.lines, told
    assert score.amount_exact >= 0.99 * score.lines, told
    assert score.residual_zero >= 0.99 * score.residual_due_zero, told


def test_no_cause_is_found_where_a_carrier_bills_right(score):
    assert score.false_alarms == 0, "\n".join(score.failures)


def test_each_cause_is_put_to_the_test(score):
    assert score.told_as.keys() == {
        "TIMEZONE", "PERIOD", "DUPLICATE", "DIAL_CODE", "MISSING_OURS", "MISSING_THEIRS", "VOLUME", "INCREMENT",
        "ROUNDING", "RATE", "STATUS", "FEE", "TAX", "RESIDUAL",
    }  # fmt: skip


def test_a_score_tells_a_wrong_cause_a_wrong_amount_and_a_false_alarm_apart():
    score = Score()
    score.add("right", {"RATE": Decimal(3)}, {"RATE": Decimal(3)})
    score.add("other amount", {"RATE": Decimal(3)}, {"RATE": Decimal(2), "RESIDUAL": Decimal(1)})
    score.add("other cause", {"RATE": Decimal(3)}, {"VOLUME": Decimal(3)})
    score.add("nothing", {}, {})
    score.add("alarm", {}, {"RATE": Decimal(1)})
    assert score.sentence() == (
        "lines 3, cause exact 33.3 %, amount exact 33.3 %, residual zero 66.7 %, false alarms 1"
    )
    assert score.told_as["RATE"] == {"RATE": 2, "VOLUME": 1}


@pytest.mark.parametrize("kinds", [(), ("increments", "clock"), ("nameless", "dial_code"), ("unanswered", "slip")])
def test_the_truth_of_a_line_adds_up_to_its_variance(kinds):
    carrier = Carrier("c1", kinds, MONTH, 300, random.Random(str(kinds)))
    for line in carrier.lines:
        assert sum(line.causes.values(), Decimal(0)) == line.amount - line.rated, line
    assert any(line.causes for line in carrier.lines) == bool(kinds)


@pytest.mark.parametrize(
    ("mode", "expected"), [("half_up", "0.13"), ("half_even", "0.12"), ("up", "0.13"), ("down", "0.12")]
)
def test_the_truth_rounds_as_agreements_do(mode, expected):
    assert rounded(Fraction(1, 8), 2, mode) == Decimal(expected)
