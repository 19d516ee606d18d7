"""`tollgate explain` of an invoice line: what lies between invoiced and expected is told with its proof, and adds up.

Belongs here: the sentences and facts of a line, how a line is named. Does not belong here: whether the causes are the
right ones (test_evaluation), events (test_explain).
"""

import json
import re
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from conftest import tollgate
from test_end_to_end import published

from orchestration import bridge, cli, explain
from orchestration.explain.explanation import Explanation

ONE_PER_CAUSE = """
    select cause, min_by(invoice_line_id, (md5(invoice_line_id))) from settle.fct_variance_components
    where invoice_line_id in (
        select invoice_line_id from settle.fct_variance_components group by invoice_line_id having count(*) = 1
    )
    group by cause
"""
PROOFS = {
    "TIMEZONE": r"The carrier counts its days on another clock: days of \w+/\w+",
    "PERIOD": r"The carrier closes its month on another day: days of \S+, (first|last) day -?\d",
    "DUPLICATE": r"It repeats carrier-\d+:I-\d:\d+: the same destination, days, events, quantity and amount",
    "DIAL_CODE": r"\d+ events? to \d+ .* the shorter code \d+",
    "MISSING_OURS": r"No rated event of ours is for .* from 2026-10-\d\d to 2026-10-\d\d; the carrier counted \d+",
    "MISSING_THEIRS": r"has no line for .*; our records have \d+ events? from",
    "VOLUME": r"The carrier left out 2026-10-\d\d: it alone has the \d+ events? that the line lacks",
    "INCREMENT": r"Billed by \d+/\d+ since 2026-10-\d\d, agreed are \d+/\d+: \d+ s instead of.*runner-up.*a lead of",
    "ROUNDING": r"The carrier rounds otherwise: each (event|increment|minute|second).* to \d decimals",
    "RATE": r"Billed at another price: .*Code \d+: agreed is [\d.]+ \w{3} for \d+ s \(deck .*\); billed [\d.]+ \w{3}",
    "STATUS": r"The carrier bills what the agreement does not charge: .*, bills \w+",
    "FEE": r"No fee of that name is agreed for the month",
    "TAX": r"The agreement's tax is [\d.]+ on what the invoice itself says without tax, [\d.]+: [\d.]+",
    "RESIDUAL": r"Nothing that was tried explains it",
}


def said(explanation: Explanation, step: str) -> str:
    return "\n".join(sentence for told in explanation.steps if told.name == step for sentence in told.sentences)


def held_against_the_marts(warehouse: Path, line_id: str) -> Explanation:
    """The explanation of a line, after its figures were added up once more."""
    told = explain.explain(warehouse, line_id)
    assert told.kind == "invoice line" and told.defects == []
    facts = json.loads(explain.as_json(told))
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        invoiced, rated = connection.execute(
            "select invoiced_amount, rated_amount from settle.fct_carrier_invoice_lines where invoice_line_id = ?",
            [line_id],
        ).fetchone()
        components = connection.execute(
            "select cause, component_variance_amount from settle.fct_variance_components where invoice_line_id = ?",
            [line_id],
        ).fetchall()
    walk = facts["bridge"]["components"]
    assert {row["cause"]: Decimal(row["component_variance_amount"]) for row in walk} == dict(components)
    assert rated + sum(Decimal(row["component_variance_amount"]) for row in walk) == invoiced
    assert [row["cause"] for row in walk] == sorted((row["cause"] for row in walk), key=bridge.ORDER.index)
    for event in facts.get("events", {}).get("events", []):
        if event["is_rerated"]:
            ours, theirs = (Decimal(event[name] or 0) for name in ("our_cost_amount", "their_cost_amount"))
            assert theirs - ours == Decimal(event["difference_amount"])
    return told


@pytest.fixture(scope="module")
def chosen(mistaken) -> dict[str, str]:
    """A line of each cause that has no other."""
    with duckdb.connect(str(mistaken.home.warehouse), read_only=True) as connection:
        return dict(connection.execute(ONE_PER_CAUSE).fetchall())


@pytest.mark.parametrize("cause", PROOFS)
def test_each_cause_is_told_with_what_proves_it(mistaken, chosen, cause):
    told = held_against_the_marts(mistaken.home.warehouse, chosen[cause])
    walk = said(told, "bridge")
    assert re.search(PROOFS[cause], walk.replace("\n", " ")), walk
    assert f"{cause}: the net of " in said(told, "disputes")
    if cause in ("TIMEZONE", "PERIOD", "DIAL_CODE", "INCREMENT", "ROUNDING", "RATE", "STATUS"):
        assert re.search(r"ours .*; theirs .*: [+-][\d.]+\.", said(told, "events"))


def test_increments_and_their_first_day_are_those_that_the_carrier_used_also_in_another_currency(mistaken):
    carrier = mistaken.foreign
    told = held_against_the_marts(mistaken.home.warehouse, f"{carrier.carrier_id}:I-1:1")
    billing = carrier.carrier
    increments = "/".join(str(part) for part in billing.carrier_increments)
    assert f"Billed by {increments} since {billing.increments_since}, agreed are " in said(told, "bridge")
    assert said(told, "exchange").splitlines()[0] == (
        "The agreement is in EUR, the invoice in CHF. For one unit of the base: 1 EUR, 2 CHF, as published on "
        "2026-10-30 and in force on 2026-10-31, the last day of the month."
    )
    assert re.search(r"([\d.]+) EUR are ([\d.]+) CHF", said(told, "exchange"))


def test_the_rounding_of_a_total_is_told_with_the_sum_of_its_lines(mistaken):
    told = held_against_the_marts(mistaken.home.warehouse, f"{mistaken.foreign.carrier_id}:I-1:rounding")
    expected = said(told, "expected")
    assert re.search(r"The lines sum to [\d.]+\. The agreement rounds the total .* to 0 decimals: -?[\d.]+; ", expected)
    assert re.search(r"the carrier's total is \d+ CHF", expected)
    assert ": its total." in said(told, "invoiced")


def test_a_line_is_named_by_id_by_invoice_or_in_three_words_and_never_guessed(mistaken, chosen):
    warehouse = mistaken.home.warehouse
    with pytest.raises(
        explain.NotExplained, match=r"carriers have an invoice line I-1:1; say which one: carrier-000:I-1:1"
    ):
        explain.explain(warehouse, "I-1:1")
    assert explain.explain(warehouse, "carrier-000  I-1 1").subject == "carrier-000:I-1:1"
    with pytest.raises(
        explain.NotExplained,
        match=r"no entry of the ledger carrier-000:I-1:9999; the nearest ids of .*carrier-000:I-1:",
    ):
        explain.explain(warehouse, "carrier-000:I-1:9999")
    with pytest.raises(
        explain.NotExplained, match="there is no event carrier-000:I-1:1; the nearest ids of events are"
    ):
        explain.explain(warehouse, "carrier-000:I-1:1", kind="event")


def test_the_fee_of_a_carrier_is_told_with_the_row_that_agrees_it(demo):
    home = demo[0]
    [(line_id, number)] = published(
        home,
        """select invoice_line_id, invoice_number || ':' || line_number from settle.fct_carrier_invoice_lines
        where line_description = 'Carrier surcharge' and carrier_id = 'textwave'""",
    )
    told = held_against_the_marts(home / "warehouse" / "tollgate.duckdb", line_id)
    assert re.search(
        r"Agreed is Carrier surcharge, 0.0008 EUR, due for \d+ x segment \(textwave-2025", said(told, "expected")
    )
    assert "record" in said(told, "invoiced") and "carrier_invoices/native/textwave_" in said(told, "invoiced")
    run = tollgate(home, "explain", number, "--json")
    assert run.returncode == 0 and json.loads(run.stdout) == json.loads(explain.as_json(told))
    assert json.loads(run.stdout)["kind"] == "invoice line"


def test_a_price_of_another_deck_is_told_with_both_rows_the_clause_and_the_deadline(demo):
    home = demo[0]
    warehouse = home / "warehouse" / "tollgate.duckdb"
    [(line_id, dispute_id)] = published(
        home,
        """select invoice_line_id, dispute_id from settle.fct_variance_components
        where carrier_id = 'atlantic-voice' and cause = 'RATE' order by component_variance_amount desc limit 1""",
    )
    told = held_against_the_marts(warehouse, line_id)
    assert re.search(r"of rate_decks/native/atlantic-voice_\S+\.csv\)", said(told, "expected"))
    disputes = said(told, "disputes")
    assert "tolerances.csv (atlantic-voice-2025, RATE) lets pass what is not above 0 USD" in disputes
    assert f"Dispute {dispute_id}, to_raise: " in disputes and "To be raised by 2026-12-03, 30 days after" in disputes
    masked = json.loads(explain.as_json(explain.explain(warehouse, line_id, mask=True)))
    assert masked["events"]["events"]
    for event in masked["events"]["events"]:
        assert event["destination"].endswith("****") and not event["origin"][-4:].isdigit()


def test_a_line_that_is_right_has_no_cause_and_says_what_stands_behind_it(demo):
    home = demo[0]
    [(line_id, events)] = published(
        home,
        """select invoice_line_id, rated_event_count from settle.fct_carrier_invoice_lines
        where carrier_id = 'ponte-wholesale' and line_status = 'agreed' order by rated_event_count desc limit 1""",
    )
    told = held_against_the_marts(home / "warehouse" / "tollgate.duckdb", line_id)
    assert "no cause is sought where none is needed" in said(told, "bridge") and said(told, "disputes") == ""
    assert said(told, "expected").startswith(f"Events of ours behind it: {events:,}, billed ")


def test_a_bridge_that_the_marts_do_not_hold_is_a_loud_contradiction(mistaken, chosen, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(mistaken.home.warehouse.parent, home / "warehouse")
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        connection.execute(
            """update settle.fct_variance_components set component_variance_amount = component_variance_amount + 1
            where invoice_line_id = ?""",
            [chosen["RATE"]],
        )
    run = CliRunner().invoke(cli.main, ["explain", chosen["RATE"]], env={"TOLLGATE_HOME": str(home)})
    assert run.exit_code == 1
    [defect] = explain.explain(home / "warehouse" / "tollgate.duckdb", chosen["RATE"]).defects
    assert defect.startswith("RATE is ") and "settle.fct_variance_components has " in defect
