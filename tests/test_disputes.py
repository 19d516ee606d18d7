"""A settled month that goes on: disputes are raised, answered and credited, payments come, the month is closed, and
usage comes late. On a copy of the demo, through the command line, to the published tables.
"""

import csv
import io
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import tollgate
from test_end_to_end import USAGE_HEADER, copy_home, published, warehouse

from orchestration import models_applied
from orchestration.explain.posting import explain_entry

TODAY = date(2026, 11, 20)
DISPUTE_EVENTS = "dispute_id,event_type,event_date,amount,currency,reference,note"
CREDIT_NOTES = "carrier_id,credit_note_number,issue_date,invoice_number,cause,currency,amount"
PAYMENTS = "party_id,payment_reference,value_date,direction,settles,invoice_number,currency,amount"


def land(home: Path, kind: str, header: str, *rows: tuple) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    (home / "landing" / kind / "native").mkdir(parents=True, exist_ok=True)
    (home / "landing" / kind / "native" / "later.csv").write_text(text.getvalue())


@pytest.fixture(scope="module")
def story(demo, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What was before, what was closed, and the home after all that came later. Read only."""
    home = tmp_path_factory.mktemp("disputes") / "home"
    copy_home(demo[0], home)
    before = {
        dispute: (carrier, number, cause, amount, currency)
        for dispute, carrier, number, cause, amount, currency in published(
            home,
            """select dispute_id, carrier_id, invoice_number, cause, dispute_amount, dispute_currency
            from settle.fct_disputes where credit_received_amount = 0 order by dispute_id""",
        )
    }
    halved, given_up, silent, *_ = before
    closed = [tollgate(home, "close-period", month, "--accept", "a test") for month in ("2026-09", "2026-10")]
    balances = posted(home)
    carrier, number, cause, amount, currency = before[halved]
    decimals = -amount.normalize().as_tuple().exponent
    half = round(amount / 2, max(decimals, 0))
    land(
        home,
        "dispute_events",
        DISPUTE_EVENTS,
        (halved, "raised", TODAY - timedelta(9), amount, currency, "T-1", ""),
        (halved, "partly_accepted", TODAY - timedelta(5), half, currency, "T-1", "half of it"),
        (given_up, "raised", TODAY - timedelta(9), "", "", "T-2", ""),
        (given_up, "withdrawn", TODAY - timedelta(5), "", "", "T-2", ""),
        (silent, "raised", TODAY - timedelta(1), "", "", "T-3", ""),
        (f"{carrier}:no-such-invoice:2026-10:RATE", "raised", TODAY, "5", "EUR", "T-4", ""),
        (halved, "shouted", TODAY, "", "", "", ""),
    )
    land(
        home,
        "credit_notes",
        CREDIT_NOTES,
        (carrier, "CN-1", TODAY, number, cause, currency, half),
        (carrier, "CN-2", TODAY, number, cause, currency, amount),
    )
    land(
        home,
        "payments",
        PAYMENTS,
        (carrier, "P-1", TODAY, "paid", "carrier", number, currency, "100"),
        ("acme-resale", "P-2", TODAY, "received", "", "", "USD", "12.34"),
        ("acme-resale", "P-2", TODAY, "received", "", "", "USD", "12.34"),
        ("nordlink", "P-3", TODAY, "received", "", "", "EUR", "1"),
        ("nobody", "P-4", TODAY, "received", "", "", "EUR", "1"),
    )
    usage = home / "landing" / "usage" / "native" / "late.csv"
    usage.write_text(
        f"{USAGE_HEADER}\nlate-1,sms,outbound,bluebird-eu,textwave,,4915112345678,2026-10-05T12:00:00Z,delivered,9,segment,"
        "2026-11-19T12:02:00Z\n"
    )
    run = tollgate(home, "run", TOLLGATE_TODAY=str(TODAY))
    assert run.returncode == 0, run.stdout + run.stderr
    return {
        "home": home, "before": before, "closed": closed, "balances": balances, "said": run.stdout,
        "halved": halved, "given_up": given_up, "silent": silent, "half": half,
    }  # fmt: skip


def posted(home: Path) -> dict[tuple, Decimal]:
    """What is booked by party, account, currency and month of posting, up to October."""
    return {
        tuple(row[:-1]): row[-1]
        for row in warehouse(
            home,
            """select party_id, account, currency, posting_period_date, sum(debit_amount - credit_amount)
            from ledger.postings where posting_period_date <= '2026-10-01' group by all""",
        )
    }


def dispute(story: dict, name: str, *columns: str) -> tuple:
    (row,) = published(
        story["home"], f"select {', '.join(columns)} from settle.fct_disputes where dispute_id = '{story[name]}'"
    )
    return row


def test_a_dispute_that_is_half_accepted_waits_for_the_carrier_or_for_us(story):
    amount, half = story["before"][story["halved"]][3], story["half"]
    assert dispute(story, "halved", "dispute_status", "next_action", "raised_amount", "accepted_amount") == (
        "partly_accepted", "escalate_or_withdraw", amount, half,
    )  # fmt: skip
    assert dispute(story, "halved", "credit_received_amount", "expected_credit_amount", "open_amount") == (
        half, 0, amount - half,
    )  # fmt: skip


def test_what_was_withdrawn_is_no_longer_claimed_and_becomes_cost(story):
    carrier, _, _, amount, currency = story["before"][story["given_up"]]
    assert dispute(story, "given_up", "dispute_status", "claimed_amount", "conceded_amount", "open_amount") == (
        "withdrawn", 0, amount, 0,
    )  # fmt: skip
    assert warehouse(
        story["home"],
        f"""select account, sum(debit_amount - credit_amount) from ledger.postings
        where party_id = '{carrier}' and currency = '{currency}' and origin_period_date = '2026-10-01'
            and posting_period_date = '2026-11-01' and account in ('carrier_cost', 'disputed_cost') group by account
        order by account""",
    ) == [("carrier_cost", amount), ("disputed_cost", -amount)]


def test_a_dispute_that_was_raised_runs_on_the_agreements_clocks(story):
    status, action, raised, days = dispute(story, "silent", "dispute_status", "next_action", "raised_date", "days_open")
    assert (status, action, raised, days) == ("raised", "await_answer", TODAY - timedelta(1), 1)


def test_steps_credits_and_payments_that_cannot_count_are_told_and_move_nothing(story):
    assert published(
        story["home"],
        """select reference, refusal_reason from settle.fct_dispute_events
        where refusal_reason is not null order by 1 nulls last""",
    ) == [("T-4", "dispute_unknown"), (None, "event_type_unreadable")]
    assert published(
        story["home"],
        """select credit_note_number, matched_by, refusal_reason from settle.fct_credit_notes
        where credit_note_number like 'CN-_' order by 1""",
    ) == [("CN-1", "cause", None), ("CN-2", None, "credit_exceeds_dispute")]
    assert warehouse(
        story["home"], "select refusal_reason from stage.int_rows_refused where kind = 'payments' order by 1"
    ) == [("party_unknown",), ("payment_repeated",), ("settles_missing",)]
    assert warehouse(
        story["home"],
        """select party_id, sum(debit_amount) from ledger.postings
        where account = 'cash' and debit_amount > 0 group by 1""",
    ) == [("acme-resale", Decimal("12.34"))]


def test_payments_stand_on_the_settlement_and_on_the_balance_that_they_settle(story):
    carrier, _, _, _, currency = story["before"][story["halved"]]
    assert published(
        story["home"],
        f"""select paid_amount from settle.fct_carrier_settlements
        where carrier_id = '{carrier}' and settlement_currency = '{currency}' and period_start_date = '2026-10-01'""",
    ) == [(100,)]
    ((opening, credit, closing),) = published(
        story["home"],
        """select opening_balance_amount, credit_amount, closing_balance_amount from settle.fct_account_balances
        where party_id = 'acme-resale' and account = 'partner_receivable' and posting_period_date = '2026-11-01'""",
    )
    assert credit == Decimal("12.34") and opening > 0 and closing > 0


def test_a_closed_month_does_not_move_and_late_usage_corrects_it_in_the_first_open_one(story):
    assert [closing.returncode for closing in story["closed"]] == [0, 0], story["closed"]
    assert posted(story["home"]) == story["balances"]
    corrected = published(
        story["home"],
        """select sum(debit_amount) from settle.fct_settlement_ledger where party_id = 'bluebird'
            and account = 'partner_receivable' and origin_period_date = '2026-10-01'
            and posting_period_date = '2026-11-01'""",
    )
    assert corrected[0][0] > 0
    assert published(
        story["home"],
        """select distinct strftime(period_start_date, '%Y-%m'), period_state
        from settle.dim_billing_periods order by 1""",
    ) == [("2026-09", "closed"), ("2026-10", "closed"), ("2026-11", "open")]


def test_the_books_verify_and_hold_the_seal_of_the_closing(story):
    seal = story["closed"][1].stdout.split("seal ")[1].split()[0]
    found = tollgate(story["home"], "verify", "--seal", seal, "--json")
    assert found.returncode == 0 and json.loads(found.stdout)["defects"] == []
    manifest = json.loads((story["home"] / "published" / "manifest.json").read_text())
    assert manifest["ledger_seal"] == json.loads(found.stdout)["last_hash"]
    wrong = tollgate(story["home"], "verify", "--seal", "0" * 64)
    assert wrong.returncode == 1 and "does not hold the seal" in wrong.stdout


def test_closing_again_or_too_early_is_refused_in_words(story):
    for month, told in (("2026-10", "a closed month stays closed"), ("2026-12", "nothing is booked in 2026-12")):
        refusal = tollgate(story["home"], "close-period", month)
        assert refusal.returncode == 1 and told in refusal.stderr and not refusal.stdout


def test_every_entry_of_the_ledger_is_the_sum_of_what_it_rests_on(story):
    with models_applied.engine(story["home"] / "warehouse" / "tollgate.duckdb") as connection:
        entries = [
            entry
            for (entry,) in connection.execute(
                "select distinct entry_id from tollgate.settle.fct_settlement_ledger order by 1"
            ).fetchall()
        ]
        told = [explain_entry(connection, entry) for entry in entries]
    assert len(told) > 100 and [entry.defects for entry in told if entry.defects] == []
    leads = [part["next"] for entry in told for part in entry.steps[-1].facts["parts"] if part["next"]]
    line = next(lead for lead in leads if lead.startswith("tollgate explain"))
    shown = tollgate(story["home"], "explain", line.split("'")[1])
    assert shown.returncode == 0 and "invoice line" in shown.stdout


def test_an_entry_that_corrects_a_closed_month_is_told_with_those_before_it(story):
    ((entry, posting),) = warehouse(
        story["home"],
        """select entry_id, posting_id from ledger.postings
        where entry_type = 'partner_charge' and party_id = 'bluebird'
            and origin_period_date = '2026-10-01' and posting_period_date = '2026-11-01' and debit_amount > 0""",
    )
    shown = tollgate(story["home"], "explain", posting)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for told in (f"ledger entry {entry}", "the first month that was still open", "(this entry)", "booked under seal"):
        assert told in shown.stdout
    unknown = tollgate(story["home"], "explain", "--as", "entry", "no-such-entry")
    assert unknown.returncode == 2 and "no entry of the ledger no-such-entry" in unknown.stderr
