"""What finance systems read: the journal holds each posting once, the bank's file what is due and nothing else."""

import csv
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import exports, packs
from orchestration.exports import journal, payments
from orchestration.settings import Home

UNTIL = date(2026, 12, 31)
OURS, THEIRS, WRONG = "DE89370400440532013000", "GB29NWBK60161331926819", "GB29NWBK60161331926818"


def give(connection: duckdb.DuckDBPyConnection, table: str, *rows: tuple) -> None:
    """Terms that the demo does not have, in a copy of the warehouse's view of them."""
    marks = ", ".join("?" for _ in rows[0])
    connection.executemany(f"insert into tollgate.stage.{table} values ({marks})", [list(row) for row in rows])


@pytest.fixture
def connection(demo, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The demo's warehouse and publication, with bank accounts and a chart of accounts that a test may fill."""
    home = tmp_path / "home"
    for folder in ("warehouse", "published"):
        shutil.copytree(demo[0] / folder, home / folder, symlinks=True)
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as warehouse:
        for view in ("bank_accounts", "chart_of_accounts"):
            warehouse.execute(f"create table stage.given as from stage.stg_terms__{view}")
            warehouse.execute(f"drop view stage.stg_terms__{view}")
            warehouse.execute(f"alter table stage.given rename to stg_terms__{view}")
    with packs.sources(Home(home)) as sources:
        sources.execute("detach tollgate")
        sources.execute(f"attach '{home}/warehouse/tollgate.duckdb' as tollgate")
        yield sources


def rows_of(file: Path) -> list[dict]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_journal_holds_each_booked_posting_once_and_goes_on_where_it_ended(connection, tmp_path: Path):
    written = journal.write(connection, tmp_path)
    rows = rows_of(written.file)
    booked = connection.execute("select posting_id from tollgate.ledger.postings").fetchall()
    assert Counter(row["posting_id"] for row in rows) == Counter(posting for (posting,) in booked)
    balance = Counter()
    for row in rows:
        balance[row["currency"]] += Decimal(row["debit_amount"]) - Decimal(row["credit_amount"])
        assert row["account_number"] == row["account"], "without a chart of its own the ledger's names are the numbers"
    assert set(balance.values()) == {0} and written.debits.keys() == balance.keys()
    again = journal.write(connection, tmp_path, written.last_seal)
    assert again.postings == 0 and rows_of(again.file) == []
    with pytest.raises(exports.NoExport, match="there is no seal 99"):
        journal.write(connection, tmp_path, 99)


def test_a_chart_that_lacks_an_account_writes_nothing(connection, tmp_path: Path):
    give(connection, "stg_terms__chart_of_accounts", ("carrier_payable", "3300", "Carriers", None))
    with pytest.raises(exports.NoExport, match=r"no number for accrued_carrier_cost, .*partner_revenue"):
        journal.write(connection, tmp_path)
    assert not list(tmp_path.glob("*.csv"))


def test_what_is_due_is_proposed_to_the_cent_and_the_rest_is_told_with_its_reason(connection, tmp_path: Path):
    give(
        connection,
        "stg_terms__bank_accounts",
        ("us", "EUR", "Our Company GmbH", OURS, "COBADEFFXXX", None),
        ("us", "USD", "Our Company GmbH", OURS, None, None),
        ("textwave", "EUR", "Textwave & Söhne", THEIRS, None, None),
        ("nordlink", "EUR", "NordLink GmbH", WRONG, None, None),
        ("ponte-wholesale", "EUR", "refused", THEIRS, None, "terms_overlap"),
    )
    written = payments.write(connection, tmp_path, UNTIL, date(2026, 12, 4))
    listed = {(row["party_id"], row["currency"]): row for row in rows_of(written.file)}
    (due,) = connection.execute(
        """select payable_amount from published.settle.fct_carrier_settlements
        where carrier_id = 'textwave' and due_date <= ?""",
        [UNTIL],
    ).fetchone()
    (file,) = written.transfers
    tree = ElementTree.parse(file)
    names = {"p": tree.getroot().tag[1:].split("}")[0]}
    assert names["p"].endswith("pain.001.001.09")
    assert [(one.text, one.get("Ccy")) for one in tree.iterfind(".//p:InstdAmt", names)] == [(f"{due:.2f}", "EUR")]
    assert [one.text for one in tree.iterfind(".//p:CdtrAcct//p:IBAN", names)] == [THEIRS]
    assert tree.find(".//p:EndToEndId", names).text == listed["textwave", "EUR"]["end_to_end_id"]
    assert "check digits" in listed["nordlink", "EUR"]["reason"]
    assert listed["ponte-wholesale", "EUR"]["reason"] == "bank_accounts.csv has no EUR account of ponte-wholesale"
    assert "two decimals" in listed["sakura-tel", "JPY"]["reason"]
    again = payments.write(connection, tmp_path / "again", UNTIL, date(2026, 12, 5))
    assert rows_of(again.file) == rows_of(written.file), "the same debt has the same id"


def test_a_party_on_both_sides_is_netted_before_it_is_paid(connection, tmp_path: Path):
    written = payments.write(connection, tmp_path, UNTIL, UNTIL)
    (row,) = [row for row in rows_of(written.file) if (row["party_id"], row["currency"]) == ("nordlink", "EUR")]
    (netted,) = connection.execute(
        """select sum(net_payable_amount - net_receivable_amount) from published.settle.fct_netting_statements
        where party_id = 'nordlink' and netting_currency = 'EUR' and period_start_date <= '2026-10-01'"""
    ).fetchone()
    (november,) = connection.execute(
        """select coalesce(sum(receivable_amount - payable_amount), 0) from published.settle.fct_partner_statements
        where partner_id = 'nordlink' and statement_currency = 'EUR' and period_start_date > '2026-10-01'
            and due_date <= ?""",
        [UNTIL],
    ).fetchone()
    assert Decimal(row["due_amount"]) == netted - november


def test_what_is_not_open_is_not_proposed_and_nothing_due_is_said(connection, tmp_path: Path):
    (file,) = connection.execute("select path from duckdb_databases() where database_name = 'published'").fetchone()
    connection.execute("detach published")
    Path(file).chmod(0o644)
    connection.execute(f"attach '{file}' as published")
    connection.execute("delete from published.settle.fct_open_items where party_id = 'textwave'")
    connection.execute("update published.settle.fct_open_items set payable_amount = 7 where party_id = 'twilio'")
    with pytest.raises(exports.NoExport, match="fct_open_items is not what was published"):
        payments.write(connection, tmp_path, UNTIL, UNTIL)
    connection.execute("create or replace table tollgate.settle.fct_open_items as from published.settle.fct_open_items")
    written = payments.write(connection, tmp_path, UNTIL, UNTIL)
    due = {row["party_id"]: Decimal(row["due_amount"]) for row in rows_of(written.file)}
    assert "textwave" not in due and due["twilio"] == 7
    with pytest.raises(exports.NoExport, match="nothing is due until 2026-01-01"):
        payments.write(connection, tmp_path, date(2026, 1, 1), UNTIL)


def test_a_payment_that_no_publication_knows_stops_the_proposals_that_would_pay_it_again(connection, tmp_path: Path):
    connection.execute(
        """create table tollgate.stage.paid as
        select 'P-7' as payment_reference, 'a-new-file' as file_id, null::varchar as refusal_reason"""
    )
    connection.execute("drop view tollgate.stage.int_payments_collected")
    connection.execute("alter table tollgate.stage.paid rename to int_payments_collected")
    with pytest.raises(exports.NoExport, match="landed since the publication, such as P-7"):
        payments.write(connection, tmp_path, UNTIL, UNTIL)
    assert not list(tmp_path.glob("payments-*"))
