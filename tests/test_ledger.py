"""The books: a year in any order ends the same, closed months stay closed, and what is changed by hand shows.

Belongs here: the ledger's own SQL, booking, closing, verifying. Does not belong here: what bills and statements come to
(`models/reconcile`, `models/attribute`), publishing (`test_publish.py`).
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from test_publish import build_home, change, open_warehouse, propose, publish_home

from orchestration import builds, file_ledger, ledger
from orchestration.ledger import periods, seals, verification
from orchestration.ledger.books import BOOKS_SEALED

ORDERS = 200
MONTHS = [date(2026, month, 1) for month in range(1, 13)]
STEPS = 16
CARRIERS, PARTNERS = ("ponte", "sakura"), ("acme", "kanto")
CURRENCIES = {"ponte": "EUR", "sakura": "JPY", "acme": "USD", "kanto": "KWD"}
DECIMALS = {"EUR": 2, "JPY": 0, "USD": 2, "KWD": 3}
MOVED = {
    "invoiced": [("carrier_payable", -1)],
    "tax": [("carrier_payable", -1)],
    "credited": [("carrier_payable", 1)],
    "paid": [("carrier_payable", 1), ("cash", -1)],
    "accrued": [("accrued_carrier_payable", -1)],
    "charged": [("partner_receivable", 1)],
    "received": [("partner_receivable", -1), ("cash", 1)],
    "shared": [("partner_payable", -1)],
}
"""The balances that a fact moves; what is disputed only moves between accounts of cost."""
ACCOUNTS = ("carrier_payable", "partner_receivable", "partner_payable", "accrued_carrier_payable", "cash")


# --- A year in many orders --------------------------------------------------------------------------------------------


def facts_of_the_year(dice: random.Random) -> list[tuple[str, str, date, Decimal]]:
    """What comes in over a year: kind, party, month and by how much it moves what is right. In whatever order it comes,
    it adds up to the same."""

    def some(party: str, most: int) -> Decimal:
        return Decimal(dice.randint(1, most)).scaleb(-DECIMALS[CURRENCIES[party]])

    facts = []
    for month in MONTHS:
        for carrier in CARRIERS:
            invoiced, disputed = some(carrier, 900_000), some(carrier, 90_000)
            facts += [
                ("accrued", carrier, month, invoiced),
                ("invoiced", carrier, month, invoiced + disputed),
                ("accrued", carrier, month, -invoiced),  # the invoice has come
                ("tax", carrier, month, some(carrier, 9_000)),
                ("disputed", carrier, month, disputed),
                ("credited", carrier, month, min(disputed, some(carrier, 90_000))),
                ("paid", carrier, month, invoiced),
                (
                    "invoiced",
                    carrier,
                    month,
                    some(carrier, 500) - some(carrier, 500),
                ),  # restated, or another rate of the day
            ]
        for partner in PARTNERS:
            charged = some(partner, 900_000)
            facts += [
                ("charged", partner, month, charged),
                ("charged", partner, month, some(partner, 9_000) - some(partner, 9_000)),  # late usage, a mended plan
                ("shared", partner, month, some(partner, 9_000)),
                ("received", partner, month, charged),
            ]
    return facts


class Year:
    """A ledger with `ORDERS` parties of each name, each of which sees the year in an order of its own; the SQL that
    proposes postings is the model's."""

    def __init__(self, folder: Path, compiled: dict[str, str]) -> None:
        self.exports, self.proposes = folder / "published" / "ledger", compiled["int_postings_proposed"]
        self.file = folder / "tollgate.duckdb"
        self.right: dict[tuple[str, str, date], Decimal] = defaultdict(Decimal)
        self.known_at = datetime(2026, 1, 31, 8)
        self.connection = None
        self.restart()

    def restart(self) -> None:
        """The warehouse is lost; what was exported comes back."""
        if self.connection:
            self.connection.close()
        self.file.unlink(missing_ok=True)
        self.connection = duckdb.connect(str(self.file))
        ledger.prepare(self.connection, self.exports)
        entry_types = Path(__file__).parents[1] / "seeds/reference/ledger_entry_types.csv"
        for statement in (
            *(f"create schema {schema}" for schema in ("stage", "reconcile", "attribute", "settle", "reference")),
            f"create table reference.ledger_entry_types as from read_csv('{entry_types}')",
            "create view stage.stg_ledger__postings as from ledger.postings",
            "create view stage.stg_ledger__closings as from ledger.closings",
            "create table stage.stg_ingest__files (loaded_at timestamp)",
            """create table reconcile.int_carrier_bills_settled (
                carrier_id varchar, period_start_date date, settlement_currency varchar,
                accepted_amount decimal(38, 12), invoiced_tax_amount decimal(38, 12),
                disputed_tax_amount decimal(38, 12), disputed_amount decimal(38, 12),
                credited_on_disputes_amount decimal(38, 12),
                credited_amount decimal(38, 12))""",
            """create table reconcile.int_accruals_estimated (
                carrier_id varchar, period_start_date date, accrual_currency varchar,
                accrued_amount decimal(38, 12))""",
            """create table attribute.int_statements_totalled (
                partner_id varchar, period_start_date date, statement_currency varchar, charge_amount decimal(38, 12),
                tax_amount decimal(38, 12))""",
            """create table attribute.int_shares_allocated (
                beneficiary_partner_id varchar, period_start_date date, share_currency varchar,
                allocated_amount decimal(38, 12))""",
            """create table reconcile.int_nettings_converted (
                party_id varchar, party_role varchar, period_start_date date, document_currency varchar,
                payable_amount decimal(38, 12), receivable_amount decimal(38, 12), netting_currency varchar,
                netted_payable_amount decimal(38, 12), netted_receivable_amount decimal(38, 12),
                is_converted boolean)""",
            """create table stage.int_payments_collected (
                party_id varchar, settles varchar, direction varchar, payment_currency varchar,
                paid_amount decimal(18, 6), value_date date, refusal_reason varchar)""",
            f"create table settle.fct_partner_charges as select {ledger.CHARGES.names} from ledger.charges",
        ):
            self.connection.execute(statement)

    def learn(self, arrived: dict[str, list[tuple[str, str, date, Decimal]]]) -> None:
        """What has come by now, by order, is what is right from now on."""
        for order, facts in arrived.items():
            for kind, party, month, amount in facts:
                self.right[kind, f"{party}/{order}", month] += amount
        self.known_at += timedelta(days=25)
        self._write_what_is_right()

    def _write_what_is_right(self) -> None:
        parties = {(party, month) for _, party, month in self.right}
        bills, accruals, statements, shares, payments = [], [], [], [], []
        for party, month in sorted(parties):
            name = party.split("/")[0]
            right = {
                kind: self.right.get((kind, party, month), Decimal(0))
                for kind in (
                    "accrued", "invoiced", "tax", "disputed", "credited", "paid", "charged", "shared", "received"
                )
            }  # fmt: skip
            currency = CURRENCIES[name]
            if name in CARRIERS:
                bills.append(
                    (party, month, currency, right["invoiced"] + right["tax"] - right["disputed"], right["tax"], 0,
                     right["disputed"], right["credited"], right["credited"])
                )  # fmt: skip
                accruals.append((party, month, currency, right["accrued"]))
                payments.append((party, "carrier", "paid", currency, right["paid"], month, None))
            else:
                statements.append((party, month, currency, right["charged"], 0))
                shares.append((party, month, currency, right["shared"]))
                payments.append((party, "partner", "received", currency, right["received"], month, None))
        self.connection.execute("delete from stage.stg_ingest__files")
        self.connection.execute("insert into stage.stg_ingest__files values (?)", [self.known_at])
        for table, rows in {
            "reconcile.int_carrier_bills_settled": bills,
            "reconcile.int_accruals_estimated": accruals,
            "attribute.int_statements_totalled": statements,
            "attribute.int_shares_allocated": shares,
            "stage.int_payments_collected": payments,
        }.items():
            self.connection.execute(f"delete from {table}")
            columns = list(zip(*rows, strict=True))
            marks = ", ".join(f"unnest(${number})" for number in range(1, len(columns) + 1))
            self.connection.execute(f"insert into {table} select {marks}", [list(column) for column in columns])

    def book(self) -> int:
        self.connection.execute(f"create or replace table settle.fct_settlement_ledger as {self.proposes}")
        booked = ledger.book(self.connection)
        ledger.export(self.connection, self.exports)
        return booked

    def close(self, month: date) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"insert into ledger.closings ({periods.CLOSINGS.names}) values (?, ?, 'closed', null, ?, 'ada', null)",
                [f"{month:%Y-%m}:closed", month, self.known_at],
            )
            seals.seal(cursor, periods.CLOSINGS)
        ledger.export(self.connection, self.exports)

    def posted(self, *by: str) -> dict[tuple, Decimal]:
        names = ", ".join(by)
        return {
            tuple(row[:-1]): row[-1]
            for row in self.connection.execute(
                f"select {names}, sum(debit_amount - credit_amount) from ledger.postings group by {names}"
            ).fetchall()
        }


@pytest.fixture
def year(tmp_path: Path, dbt_project) -> Iterator[Year]:
    made = Year(tmp_path, dbt_project.compiled)
    yield made
    made.connection.close()


def test_a_year_in_any_order_with_restarts_ends_in_the_same_balances_and_no_closed_month_moves(year: Year):
    dice = random.Random(20261130)
    facts = facts_of_the_year(dice)
    arrivals: list[dict[str, list]] = [defaultdict(list) for _ in range(STEPS)]
    for order in range(ORDERS):
        for fact in dice.sample(facts, len(facts)):
            arrivals[dice.randrange(STEPS)][str(order)].append(fact)
    closed: dict[tuple, Decimal] = {}
    closed_months: list[date] = []
    for number, arrived in enumerate(arrivals):
        year.learn(arrived)
        assert year.book() > 0
        assert year.book() == 0, "a run that learns nothing posts nothing"
        assert not [entry for entry, sides in year.posted("entry_id", "currency").items() if sides], (
            "an entry that does not foot"
        )
        now = year.posted("party_id", "account", "currency", "posting_period_date")
        assert {key: now.get(key) for key in closed} == closed, "a closed month has moved"
        assert not [key for key in now if key[3] in closed_months and key not in closed], "a closed month was added to"
        if number % 5 == 3:
            year.restart()
            year._write_what_is_right()
            assert year.book() == 0, "what was booked was lost with the warehouse"
        if number >= 2 and number - 2 < len(MONTHS):
            year.close(MONTHS[number - 2])
            closed_months.append(MONTHS[number - 2])
            closed = {key: value for key, value in now.items() if key[3] in closed_months}
    ends = defaultdict(set)
    for (party, account, currency), balance in year.posted("party_id", "account", "currency").items():
        ends[party.split("/")[0], account, currency].add(balance)
    assert {key: len(balances) for key, balances in ends.items() if len(balances) > 1} == {}
    right = Counter()
    for kind, party, _, amount in facts:
        for account, sign in MOVED.get(kind, []):
            right[party, account, CURRENCIES[party]] += sign * amount
    found = {key: balances.pop() for key, balances in ends.items() if key[1] in ACCOUNTS}
    assert {key: amount for key, amount in found.items() if amount} == {
        key: amount for key, amount in right.items() if amount
    }
    corrected = year.connection.execute(
        "select count(*) from ledger.postings where posting_period_date > origin_period_date"
    ).fetchone()[0]
    assert corrected > ORDERS, "nothing came late: the test proves nothing"
    assert verification.verify(year.connection, year.exports).defects == []


# --- Seals ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two bookings, sealed one after the other."""
    home = build_home(tmp_path)
    publish_home(home)
    propose(home, "E2", ("payable", "USD", "0", "3"), ("cost", "USD", "3", "0"))
    publish_home(home)
    return home


def verified(home: Path, noted: str | None = None) -> list[str]:
    with open_warehouse(home) as connection:
        return verification.verify(connection, home / "published" / "ledger", noted).defects


def last_seal(home: Path) -> str:
    with open_warehouse(home) as connection:
        return seals.last(connection)


def test_books_that_nobody_touched_are_what_was_booked(home: Path):
    noted = last_seal(home)
    propose(home, "E3", ("payable", "USD", "0", "1"), ("cost", "USD", "1", "0"))
    publish_home(home)
    assert verified(home, noted) == [] and last_seal(home) != noted
    publish_home(home)
    assert verified(home, noted) == []


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (
            "update ledger.postings set party_id = 'other' where posting_id = 'E1-0'",
            "seal 1 .*a row of them was changed",
        ),
        ("delete from ledger.postings where posting_id = 'E2-1'", "seal 2 .*they are 1 now"),
        (
            """insert into ledger.postings select * replace ('E9' as posting_id) from ledger.postings
            where posting_id = 'E1-0'""",
            "seal 1 .*they are 3 now",
        ),
        (
            """insert into ledger.postings select * replace ('E9' as posting_id, null as seal_number)
            from ledger.postings where posting_id = 'E1-0'""",
            "no seal holds: E9",
        ),
        ("delete from ledger.seals where seal_number = 1", "seal 2 does not continue the one before it"),
        ("update ledger.seals set row_count = 7 where seal_number = 2", "seal 2 was changed"),
        ("update ledger.postings set debit_amount = 9 where posting_id = 'E2-1'", r"do not balance: E2 \(USD\)"),
    ],
)
def test_what_is_changed_by_hand_in_the_books_shows(home: Path, tampering: str, told: str):
    change(home, tampering)
    assert duckdb.execute("select regexp_matches(?, ?)", ["\n".join(verified(home)), told]).fetchone() == (True,), (
        verified(home)
    )


def test_books_that_were_written_anew_as_a_whole_do_not_hold_the_seal_that_somebody_noted(home: Path):
    noted = last_seal(home)
    with open_warehouse(home) as connection:
        connection.execute("update ledger.postings set party_id = 'other', seal_number = null")
        connection.execute("delete from ledger.seals")
        for book in BOOKS_SEALED:
            seals.seal(connection, book)
        ledger.export(connection, home / "published" / "ledger")
    assert verified(home) == []
    assert verified(home, noted) == [f"the chain does not hold the seal {noted}: the books up to it were replaced"]


def test_an_export_that_was_changed_shows(home: Path):
    file = home / "published" / "ledger" / "postings.parquet"
    duckdb.execute(f"create or replace temp table changed as select * replace ('x' as party_id) from '{file}'")
    duckdb.execute(f"copy changed to '{file}' (format parquet)")
    assert verified(home) == [f"{file} is not what ledger.postings holds: E1-0, E1-1, E2-0, E2-1"]


def test_the_chain_is_recomputed_from_the_exports_by_the_documented_sql(home: Path):
    text = (Path(__file__).parents[1] / "docs" / "ledger.md").read_text()
    (query,) = [block for block in text.split("```sql")[1:] if "previous_hash" in block]
    query = query.split("```")[0].replace("published/ledger", str(home / "published" / "ledger"))
    rows = duckdb.execute(query).fetchall()
    assert len(rows) == 2 and all(is_right for *_, is_right in rows)


def test_bookings_from_before_there_were_seals_are_sealed_by_the_next_one(home: Path):
    change(home, "drop table ledger.seals", "alter table ledger.postings drop column seal_number")
    exports = home / "published" / "ledger"
    (exports / "seals.parquet").unlink()
    old = duckdb.execute(f"from '{exports}/postings.parquet'").df().drop(columns="seal_number")  # noqa: F841
    duckdb.execute(f"copy old to '{exports}/postings.parquet' (format parquet)")
    publish_home(home)
    assert verified(home) == []


# --- Closing ----------------------------------------------------------------------------------------------------------

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
NOW = datetime(2026, 12, 5, 9)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Books with postings of October (nothing at risk) and November, as the last run left them."""
    home = build_home(tmp_path)
    change(
        home,
        """insert into settle.fct_settlement_ledger
        select * replace ('N' || posting_id as posting_id, 'N' || entry_id as entry_id,
            date '2026-11-01' as origin_period_date, date '2026-11-01' as posting_period_date)
        from settle.fct_settlement_ledger""",
        "create schema stage",
        file_ledger.LEDGER,
        "create table settle.fct_landed_files (file_id varchar, loaded_count bigint)",
        """create table settle.fct_usage_daily (carrier_id varchar, partner_id varchar, unrated_reason varchar,
            uncharged_reason varchar, unrated_event_count bigint, uncharged_event_count bigint,
            at_risk_amount decimal(18, 6), at_risk_currency varchar, usage_date date)""",
        """create table settle.dim_billing_periods as select * from (values
            (date '2026-10-01', timestamp '2026-11-01 08:00:00'), (date '2026-11-01', timestamp '2026-12-01 08:00:00')
        ) as periods(period_start_date, period_end_at)""",
        """create table stage.int_rows_refused (file_id varchar, kind varchar, feed varchar, refusal_reason varchar,
            at_risk_amount decimal(38, 12), at_risk_currency varchar)""",
        """create table stage.stg_terms__closing_limits (currency varchar, at_risk_limit_amount decimal(18, 6),
            refusal_reason varchar)""",
    )
    publish_home(home)
    with open_warehouse(home) as connection:
        yield connection, home / "published" / "ledger"


def closings(books: tuple) -> list[str]:
    return [row for (row,) in books[0].execute("select closing_id from ledger.closings order by closing_id").fetchall()]


def refused(books: tuple, month: date, told: str, **given) -> None:
    before = closings(books)
    with pytest.raises(periods.CannotClose, match=f"(?s){told}"):
        periods.close(*books, month, given.pop("now", NOW), "ada", **given)
    assert closings(books) == before


def load(books: tuple, name: str, version: int = 1, outcome: str = "loaded", settled: bool = True) -> tuple[str, ...]:
    """A line of the file ledger, and that the marts hold the file: its id, kind and feed."""
    kind, feed, file_name = name.split("/")
    file_id = f"{name} {version} {outcome}"
    books[0].execute(
        """insert into ingest.files by name select $1 as file_id, $2 as kind, $3 as feed, $4 as file_name,
            1 as size_bytes, timestamp '2026-11-02 08:00:00' as modified_at, 9 as loaded_count, 0 as quarantined_count,
            9 as record_count, $5 as outcome, timestamp '2026-11-02 08:00:00' as loaded_at, 1 as elapsed_seconds,
            $6 as file_version""",
        [file_id, kind, feed, file_name, outcome, version],
    )
    if settled and outcome == "loaded":
        books[0].execute("insert into settle.fct_landed_files values (?, 9)", [file_id])
    return file_id, kind, feed


def refuse(books: tuple, file: tuple[str, ...], reason: str, amount=None, currency: str | None = None) -> None:
    books[0].execute("insert into stage.int_rows_refused values (?, ?, ?, ?, ?, ?)", [*file, reason, amount, currency])


def quarantine(books: tuple, file: tuple[str, ...], reason: str, amount=None, currency: str | None = None) -> None:
    books[0].execute(
        """insert into ingest.quarantine by name select $1 as file_id, $2 as kind, $3 as feed, 'f' as file_name,
            $4 as reason_code, 'm' as message, timestamp '2026-11-02 08:00:00' as loaded_at, $5 as at_risk_amount,
            $6 as at_risk_currency""",
        [*file, reason, amount, currency],
    )


def test_months_are_closed_once_and_in_their_order(books):
    refused(books, NOVEMBER, "2026-10 is still open; months are closed in their order")
    refused(books, date(2026, 9, 1), "nothing is booked in 2026-09, only in 2026-10, 2026-11")
    closing = periods.close(*books, OCTOBER, NOW, "ada")
    assert (closing.state, closing.risks) == ("closed", []) and len(closing.seal) == 64
    refused(books, OCTOBER, "2026-10 was closed on 2026-12-05, and a closed month stays closed")
    refused(books, OCTOBER, "2026-10 was closed", grace_until=date(2026, 12, 9))
    periods.close(*books, NOVEMBER, NOW, "ada", grace_until=date(2026, 12, 9))
    refused(books, NOVEMBER, "2026-11 was softly closed", grace_until=date(2026, 12, 10))
    periods.close(*books, NOVEMBER, NOW, "ada")
    assert closings(books) == ["2026-10:closed", "2026-11:closed", "2026-11:soft_closed"]
    assert verification.verify(*books).defects == []


def test_a_month_that_is_not_over_on_every_clock_stays_open(books):
    refused(books, OCTOBER, "not over before 2026-11-01 08:00 UTC", now=datetime(2026, 11, 1, 7, 59))
    refused(books, OCTOBER, "grace would have ended on 2026-12-04", grace_until=date(2026, 12, 4))


def test_a_month_is_not_closed_over_a_run_that_was_not_booked(books):
    books[0].execute(
        """insert into settle.fct_settlement_ledger
        select * replace ('new' as posting_id) from settle.fct_settlement_ledger limit 1"""
    )
    refused(books, OCTOBER, "1 rows of settle.fct_settlement_ledger are not booked yet")


def test_a_month_is_not_closed_over_tables_of_a_build_that_failed_or_was_stopped(books):
    builds.begin(books[0])
    refused(books, OCTOBER, "not those of one whole build.*Run `tollgate run`", reason="it is late")
    books[0].execute("drop table ingest.whole_build")  # a warehouse from before there was a mark
    refused(books, OCTOBER, "not those of one whole build")
    builds.end(books[0])
    periods.close(*books, OCTOBER, NOW, "ada")


def test_a_month_is_not_closed_while_a_loaded_file_is_not_in_the_tables(books):
    load(books, "usage/native/settled.csv")
    load(books, "usage/native/seen_before.csv", outcome="duplicate")
    late, *_ = load(books, "carrier_invoices/ubl/late.xml", settled=False)
    refused(books, OCTOBER, "1 loaded files .*such as carrier_invoices/ubl/late.xml. Run", reason="it is late")
    books[0].execute("insert into settle.fct_landed_files values (?, 8)", [late])
    # A row of it was in quarantine at the last run and was brought back since.
    refused(books, OCTOBER, "1 loaded files .*such as carrier_invoices/ubl/late.xml")
    books[0].execute("update settle.fct_landed_files set loaded_count = 9")
    periods.close(*books, OCTOBER, NOW, "ada")


def test_rows_and_files_of_unknown_worth_keep_a_month_open(books):
    quarantine(books, load(books, "usage/native/u.csv"), "wrong_column_count")
    refuse(books, load(books, "payments/native/p.csv"), "amount_unreadable", None, "EUR")
    refuse(books, load(books, "usage/twilio_calls/t.csv"), "status_unknown", 5, None)
    load(books, "carrier_invoices/native/i.csv", outcome="failed")
    refused(
        books,
        OCTOBER,
        r"""open: 3 rows of unknown worth; 1 files of unknown worth
  carrier_invoices/native: such as i.csv \(files that failed\): 1, of unknown worth
  payments/native: amount_unreadable \(refused rows\): 1, of unknown worth
  usage/native: wrong_column_count \(rows in quarantine\): 1, of unknown worth
  usage/twilio_calls: status_unknown \(refused rows\): 1, of unknown worth
mend them .*--accept REASON.*under its name.*--replay.*taking it out of landing""",
    )
    closing = periods.close(*books, OCTOBER, NOW, "ada", reason="the carrier was asked")
    assert [risk.amount for risk in closing.risks] == [None] * 4


def test_usage_that_is_nobodys_is_listed_as_that(books):
    books[0].execute("""insert into settle.fct_usage_daily values
        (null, null, null, 'unknown_account', 0, 4, null, null, '2026-10-09')""")
    refused(books, OCTOBER, r"\n  no partner: unknown_account \(uncharged events\): 4, of unknown worth")


def test_an_amount_does_not_hide_what_is_of_unknown_worth_beside_it(books):
    books[0].execute("insert into stage.stg_terms__closing_limits values ('EUR', 100, null)")
    file = load(books, "credit_notes/native/c.csv")
    for amount in (7, None):
        refuse(books, file, "issue_date_unreadable", amount, "EUR")
        books[0].execute(
            """insert into settle.fct_usage_daily
            values ('nordlink', null, 'no_rate', null, 3, 0, ?, 'EUR', '2026-10-09')""",
            [amount],
        )
    refused(books, OCTOBER, r"open: 4 rows of unknown worth\n")


def test_what_is_no_money_or_was_sent_again_under_its_name_keeps_no_month_open(books):
    refuse(books, load(books, "rate_decks/native/d.csv"), "rate_unreadable")
    refuse(books, load(books, "carrier_cdrs/native/r.csv"), "number_unreadable")
    refuse(books, load(books, "usage/native/again.csv"), "event_repeated")
    refuse(books, load(books, "usage/native/nothing.csv"), "status_unknown", 0, "EUR")
    old = load(books, "usage/native/u.csv")
    quarantine(books, old, "wrong_column_count")
    refuse(books, old, "started_at_unreadable", 5, "EUR")
    refused(books, OCTOBER, "5 EUR at risk.*1 rows of unknown worth")
    load(books, "usage/native/u.csv", version=3, outcome="failed")  # it replaces nothing, and is a risk itself
    refused(books, OCTOBER, "5 EUR at risk.*1 rows of unknown worth; 1 files of unknown worth")
    books[0].execute("delete from ingest.files where outcome = 'failed'")
    load(books, "usage/native/u.csv", version=2)
    assert periods.close(*books, OCTOBER, NOW, "ada").risks == []


def test_a_month_with_too_much_at_risk_stays_open_and_says_which_rows_unless_a_reason_is_given(books):
    books[0].execute("""insert into settle.fct_usage_daily values
        ('nordlink', null, 'no_rate', null, 3, 0, 12.5, 'EUR', '2026-10-09'),
        ('nordlink', null, 'no_rate', null, 9, 0, 99, 'EUR', '2026-11-09'),
        (null, 'acme', null, 'no_plan', 0, 4, null, null, '2026-10-09')""")
    refuse(books, load(books, "carrier_invoices/ubl/i.xml"), "date_unreadable", 7, "USD")
    refuse(books, load(books, "usage/native/u.csv"), "event_repeated", 7, "USD")
    books[0].execute(
        "insert into stage.stg_terms__closing_limits values ('EUR', 20, null), ('USD', 9, 'terms_overlap')"
    )
    refused(books, OCTOBER, r"7 USD at risk, and the limit is 0 USD; 4 rows of unknown worth\n  acme: no_plan")
    books[0].execute("insert into stage.stg_terms__closing_limits values ('USD', 7, null)")
    books[0].execute("delete from settle.fct_usage_daily where partner_id = 'acme'")
    closing = periods.close(*books, OCTOBER, NOW, "ada")
    assert [str(risk) for risk in closing.risks] == [
        "nordlink: no_rate (unrated events): 3, 12.5 EUR",
        "carrier_invoices/ubl: date_unreadable (refused rows): 1, 7 USD",
    ]
    refused(
        books, NOVEMBER, r"99 EUR at risk, and the limit is 20 EUR\n  nordlink: no_rate \(unrated events\): 9, 99 EUR"
    )
    periods.close(*books, NOVEMBER, NOW, "ada", reason="the deck comes next week")
    assert books[0].execute("select reason from ledger.closings where reason is not null").fetchall() == [
        ("the deck comes next week",)
    ]


def test_nothing_is_booked_into_a_closed_month_whatever_a_model_proposes(books):
    periods.close(*books, OCTOBER, NOW, "ada")
    books[0].execute(
        """insert into settle.fct_settlement_ledger
        select * replace ('L' || posting_id as posting_id, 'L' || entry_id as entry_id)
        from settle.fct_settlement_ledger where origin_period_date = '2026-10-01'"""
    )
    with pytest.raises(ledger.LedgerError, match=r"nothing is posted into a closed month.*LE1-0, LE1-1"):
        ledger.book(books[0])
