"""What finance systems read: the journal holds each posting once, the bank's file what is due and nothing else."""

import contextlib
import csv
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator
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


@pytest.fixture
def owe(connection) -> Callable[..., None]:
    """A function that puts these items in place of all that is open."""
    (file,) = connection.execute("select path from duckdb_databases() where database_name = 'published'").fetchone()
    connection.execute("detach published")
    Path(file).chmod(0o644)
    connection.execute(f"attach '{file}' as published")

    def put(*items: dict) -> None:
        for table in ("fct_open_items", "fct_netting_lines"):
            connection.execute(f"delete from published.settle.{table}")
        for item in items:
            _put(connection, **item)
        connection.execute(
            "create or replace table tollgate.settle.fct_open_items as from published.settle.fct_open_items"
        )

    return put


def _put(
    connection: duckdb.DuckDBPyConnection, document: str, amount: str, due: str | None, *, party: str = "twilio",
    paid_as: str = "carrier", currency: str = "USD", cleared: str = "0", month: str = "2026-10",
    provisional: str | None = None,
) -> None:  # fmt: skip
    """An item: above zero it is owed by us, below zero to us. A document of what is paid net is on its netting."""
    kind = "settlement" if "bill" in document else "statement" if "statement" in document else "on_account"
    payable = Decimal(amount)
    connection.execute(
        """insert into published.settle.fct_open_items by name
        select $party || ':' || $document as open_item_id, $party as party_id, $paid_as as paid_as,
            $kind as document_type, if($kind = 'on_account', null, $document) as document_id,
            $cleared::decimal(18, 6) as cleared_amount,
            greatest($amount::decimal(18, 6), 0) as payable_amount,
            greatest(-$amount::decimal(18, 6), 0) as receivable_amount,
            cleared_amount + payable_amount + receivable_amount as document_amount, $currency as item_currency,
            if($kind = 'on_account', null, ($month || '-01')::date) as period_start_date, $due::date as due_date""",
        {
            "party": party, "document": document, "paid_as": paid_as, "kind": kind, "cleared": cleared,
            "amount": str(payable), "currency": currency, "month": month, "due": due,
        },
    )  # fmt: skip
    if paid_as == "net" and kind != "on_account":
        connection.execute(
            """insert into published.settle.fct_netting_lines by name
            select $document as document_id, if($kind = 'settlement', 'carrier', 'partner') as party_role,
                $party || ':' || $month || ':' || $currency as netting_statement_id,
                $provisional::date as fx_date, $provisional is not null as is_rate_provisional""",
            {
                "party": party, "document": document, "kind": kind, "currency": currency, "month": month,
                "provisional": provisional,
            },
        )  # fmt: skip


def item(document: str, amount: str, due: str | None, **more: str) -> dict:
    return {"document": document, "amount": amount, "due": due, **more}


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


def pay_from(connection: duckdb.DuckDBPyConnection, *currencies: str) -> None:
    """Accounts of ours, and of all parties of these tests."""
    give(
        connection,
        "stg_terms__bank_accounts",
        *[
            (party, currency, party, iban, None, None)
            for currency in currencies
            for party, iban in (("us", OURS), ("twilio", THEIRS), ("nordlink", THEIRS))
        ],
    )


def proposed(connection: duckdb.DuckDBPyConnection, folder: Path, until: str = "2026-12-31") -> list[tuple]:
    """What the list has: each transfer's amount, parts, and whether it may be paid."""
    written = payments.write(connection, folder, date.fromisoformat(until), UNTIL)
    return [(row["due_amount"], row["parts"], not row["reason"]) for row in rows_of(written.file)]


def test_a_bill_is_the_same_transfer_whatever_else_is_due_with_it(connection, owe, tmp_path: Path):
    pay_from(connection, "USD")
    first, second = item("bill-a", "100", "2026-12-01"), item("bill-b", "50", "2026-12-09", month="2026-11")
    owe(first, second)
    before = rows_of(payments.write(connection, tmp_path, date(2026, 12, 4), UNTIL).file)
    after = payments.write(connection, tmp_path, date(2026, 12, 11), UNTIL)
    told = {row["parts"]: row["end_to_end_id"] for row in rows_of(after.file)}
    assert [row["end_to_end_id"] for row in before] == [told["settlement bill-a 100"]]
    assert len(set(told.values())) == 2 and after.proposed == {"USD": 150}
    tree = ElementTree.parse(after.transfers[0])
    names = {"p": tree.getroot().tag[1:].split("}")[0]}
    assert {one.text for one in tree.iterfind(".//p:EndToEndId", names)} == set(told.values())
    assert [one.text for one in tree.iterfind(".//p:InstdAmt", names)] == ["100.00", "50.00"]
    # A second invoice of the month, as high as the first one that was paid: it is no repetition.
    owe(item("bill-a", "100", "2026-12-01", cleared="100"))
    (again,) = rows_of(payments.write(connection, tmp_path, date(2026, 12, 4), UNTIL).file)
    assert again["due_amount"] == "100.00" and again["end_to_end_id"] not in told.values()


def test_what_is_owed_to_us_is_set_off_against_the_oldest_first(connection, owe, tmp_path: Path):
    pay_from(connection, "USD")
    owe(
        item("bill-a", "100", "2026-12-01", month="2026-08"),
        item("bill-b", "50", "2026-12-02", month="2026-09"),
        item("bill-c", "20", "2026-12-03"),
        item("credited-bill-d", "-30", "2026-12-03", month="2026-07"),
        item("credited-bill-e", "-90", "2026-12-02", month="2026-06"),
        item("later-bill", "7", "2026-12-20", month="2026-11"),
        item("credited-later", "-7", None, month="2026-11"),
        item("statement-of-shares", "5", "2026-12-01", paid_as="share"),
        item("bill-in-euro", "9", "2026-12-01", currency="EUR"),
    )
    assert proposed(connection, tmp_path, "2026-12-04") == [
        ("9.00", "settlement bill-in-euro 9", False),
        ("30.00", "settlement bill-b 50; set off settlement credited-bill-d -20", True),
        ("20.00", "settlement bill-c 20", True),
        ("5.00", "statement statement-of-shares 5", True),
    ], "bill-a is set off wholly"
    with pytest.raises(exports.NoExport, match="nothing is due"):
        owe(item("bill-a", "100", "2026-12-01"), item("credited-bill", "-100", "2026-12-01", month="2026-09"))
        proposed(connection, tmp_path)


def test_a_netting_is_one_transfer_and_what_is_set_off_of_another_is_told(connection, owe, tmp_path: Path):
    pay_from(connection, "USD")
    both = {"party": "nordlink", "paid_as": "net"}
    october = [item("bill-o", "100", "2026-12-15", **both), item("statement-o", "-40", "2026-12-15", **both)]
    november = [
        item("bill-n", "10", "2026-12-16", month="2026-11", **both),
        item("statement-n", "-25", "2026-12-16", month="2026-11", **both),
    ]
    back = item("overpaid", "3", "2026-12-20", **both)
    owe(*october, *november, back)
    netted = "settlement bill-o 100; statement statement-o -40"
    assert proposed(connection, tmp_path, "2026-12-15") == [("60.00", netted, True)]
    assert proposed(connection, tmp_path) == [
        ("45.00", f"{netted}; set off netting nordlink:2026-11:USD -15", True),
        ("3.00", "on account 3", True),
    ]
    # A rate that has not come holds what it can change, and nothing else.
    owe(*october, item("bill-n", "10", "2026-12-16", month="2026-11", provisional="2026-12-05", **both), back)
    assert [row[2] for row in proposed(connection, tmp_path)] == [True, False, True]
    owe(*october, item("bill-n", "-10", "2026-12-16", month="2026-11", provisional="2026-12-05", **both), back)
    assert [row[2] for row in proposed(connection, tmp_path)] == [False, False]


def test_what_is_below_a_minor_unit_is_not_paid(connection, owe, tmp_path: Path):
    pay_from(connection, "USD", "EUR", "JPY")
    owe(
        item("bill-a", "100.009999", "2026-12-01"),
        item("bill-b", "0.009999", "2026-12-02", month="2026-11"),
        item("bill-e", "0.004", "2026-12-02", currency="EUR"),
        item("bill-y", "1200.9", "2026-12-02", currency="JPY"),
    )
    written = payments.write(connection, tmp_path, UNTIL, UNTIL)
    listed = [(row["currency"], row["due_amount"]) for row in rows_of(written.file)]
    assert listed == [("JPY", "1200"), ("USD", "100.00")] and written.proposed == {"USD": 100}
    tree = ElementTree.parse(written.transfers[0])
    names = {"p": tree.getroot().tag[1:].split("}")[0]}
    assert [one.text for one in tree.iterfind(".//p:InstdAmt", names)] == ["100.00"]
    assert {one.text for one in tree.iterfind(".//p:CtrlSum", names)} == {"100.00"}
    with pytest.raises(exports.NoExport, match="nothing is due"):
        owe(item("bill-b", "0.009999", "2026-12-02"))
        proposed(connection, tmp_path)


@pytest.mark.parametrize(("paid_as", "document"), [("carrier", "bill-a"), ("share", "statement-a"), ("net", "bill-a")])
def test_a_party_that_was_paid_ahead_in_another_currency_is_paid_by_hand(
    connection, owe, tmp_path: Path, paid_as: str, document: str
):
    pay_from(connection, "USD", "EUR")
    of = {"paid_as": paid_as}
    restated = item(document, "100", "2026-12-01", **of)
    owe(restated, item("paid", "-80", None, currency="EUR", **of), item("paid too", "-1", None, **of))
    (row,) = rows_of(payments.write(connection, tmp_path, UNTIL, UNTIL).file)
    assert row["reason"].startswith("more was paid to it in EUR than is open there") and not row["end_to_end_id"]
    owe(restated, item("paid", "-0.004", None, currency="EUR", **of), item("paid", "-80", None, party="other", **of))
    assert [row[2] for row in proposed(connection, tmp_path)] == [True], "less than a cent, and another party"


def test_an_export_until_the_same_day_leaves_no_file_of_what_is_no_longer_due(connection, owe, tmp_path: Path):
    pay_from(connection, "USD", "EUR")
    other_day = tmp_path / "payments-2026-12-30-EUR.xml"
    other_day.write_text("of another day")
    dollars, euros = item("bill-a", "100", "2026-12-01"), item("bill-e", "9", "2026-12-01", currency="EUR")

    def written(*items: dict) -> set[str]:
        owe(*items)
        with contextlib.suppress(exports.NoExport):
            payments.write(connection, tmp_path, UNTIL, UNTIL)
        return {file.name for file in tmp_path.glob("payments-*")} - {other_day.name}

    assert written(dollars, euros) == {f"payments-{UNTIL}{end}" for end in (".csv", "-EUR.xml", "-USD.xml")}
    assert written(dollars) == {f"payments-{UNTIL}{end}" for end in (".csv", "-USD.xml")}
    assert written() == set() and other_day.exists()


def test_what_is_not_open_is_not_proposed_and_nothing_due_is_said(connection, owe, tmp_path: Path):
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
