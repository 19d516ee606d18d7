"""What is sent to the other side: figures are those of the marts, it recomputes by itself, and nobody else is in it.

Belongs here: packs of disputes and statements, and how their tables are written. Does not belong here: the words of a
proof (test_explain_lines), what is disputed or charged (the models' own tests).
"""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pytest
from click.testing import CliRunner, Result
from conftest import tollgate
from test_end_to_end import copy_home, published, warehouse

from orchestration import cli, packs
from orchestration.cli import outgoing
from orchestration.packs import dispute, statement
from orchestration.packs.tables import Table, amount_text, without_formulas, write_tables
from orchestration.settings import Home

MONTH = date(2026, 10, 1)
RECOMPUTE = "import duckdb, json; print(json.dumps(duckdb.sql(open('recompute.sql').read()).fetchall(), default=str))"


def recomputed_by_others(pack: Path, folder: Path) -> list[list]:
    """What a stranger gets: a copy of the folder, and Python with duckdb and nothing of ours on its path."""
    shutil.copytree(pack, folder)
    (package,) = {Path(duckdb.__file__).parents[1]}
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(package)!r}); {RECOMPUTE}"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def called(home: Path, *arguments: str) -> Result:
    """The command in this process, which spares its start."""
    return CliRunner().invoke(cli.main, arguments, env={"TOLLGATE_HOME": str(home)})


def table(pack: Path, name: str) -> list[dict]:
    with duckdb.connect() as connection:
        found = connection.execute(f"from '{pack}/parquet/{name}.parquet'")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def everything_said(pack: Path) -> str:
    """All text of a pack, also what Parquet and the workbook hold."""
    said = [file.read_text() for file in pack.rglob("*") if file.suffix in (".html", ".csv", ".json", ".sql")]
    said += [str(table(pack, file.stem)) for file in (pack / "parquet").iterdir()]
    with zipfile.ZipFile(pack / "tables.xlsx") as workbook:
        said += [workbook.read(name).decode() for name in workbook.namelist()]
    return "\n".join([*said, *(str(file.relative_to(pack)) for file in pack.rglob("*"))])


def names_in(said: str, names: set[str]) -> set[str]:
    return {name for name in names if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", said)}


# --- a dispute --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dispute_pack(demo, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "atlantic-voice"
    named = ("--sender", "=Us & <Them>", "--into", str(folder))
    run = tollgate(demo[0], "dispute-pack", "--carrier", "atlantic-voice", *named)
    assert run.returncode == 0, run.stderr
    assert str(folder) in run.stdout and "recomputed from the pack" in run.stdout
    return folder


def test_a_dispute_recomputes_where_there_is_nothing_but_duckdb(demo, dispute_pack, tmp_path):
    disputes = published(
        demo[0], "select dispute_id, dispute_amount from settle.fct_disputes where carrier_id = 'atlantic-voice'"
    )
    recomputed = recomputed_by_others(dispute_pack, tmp_path / "theirs")
    assert [(row[0], Decimal(row[1]), Decimal(row[2])) for row in recomputed] == [
        (name, amount, amount) for name, amount in disputes
    ]
    assert disputes and all(row[-1] is True for row in recomputed)


def test_the_tables_of_a_dispute_are_those_of_the_marts(demo, dispute_pack):
    home, _ = demo
    disputed = "(select invoice_line_id from settle.fct_variance_components where dispute_id like 'atlantic-voice:%')"
    columns = "invoice_line_id, invoiced_amount, rated_amount, variance_amount"
    lines = table(dispute_pack, "lines")
    assert sorted(tuple(line[name] for name in columns.split(", ")) for line in lines) == sorted(
        published(home, f"select {columns} from settle.fct_carrier_invoice_lines where invoice_line_id in {disputed}")
    )
    components = table(dispute_pack, "bridge")
    assert sorted((row["invoice_line_id"], row["cause"], row["component_variance_amount"]) for row in components) == (
        published(
            home,
            f"""select invoice_line_id, cause, component_variance_amount from settle.fct_variance_components
            where invoice_line_id in {disputed} order by 1, 2""",
        )
    )
    assert all(row["proof"].startswith("Billed at another price: deck before 2026-10-15") for row in components)
    events = table(dispute_pack, "events")
    assert len(events) == sum(line["rated_event_count"] for line in lines)
    assert sum(row["our_event_count"] for row in table(dispute_pack, "days")) == len(events)
    [raised] = table(dispute_pack, "disputes")
    assert (raised["clause"], raised["raise_within_days"], raised["raise_by_date"]) == ("RATE", 30, date(2026, 12, 3))


def test_every_file_of_a_pack_is_in_its_manifest_and_made_again_it_is_the_same(demo, dispute_pack, tmp_path):
    manifest = json.loads((dispute_pack / "manifest.json").read_text())
    files = {str(file.relative_to(dispute_pack)) for file in dispute_pack.rglob("*") if file.is_file()}
    assert manifest["files"].keys() == files - {"manifest.json"}
    published = json.loads((Home(demo[0]).published / "manifest.json").read_text())
    assert manifest["ledger_seal"] == published["ledger_seal"] and manifest["ledger_seal"]
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((dispute_pack / name).read_bytes()).hexdigest() == facts["sha256"]
    home = Home(demo[0])
    with packs.sources(home) as connection:
        pack = dispute.gather(
            connection, dispute.choose(connection, None, "atlantic-voice", MONTH), None, "=Us & <Them>"
        )
        again = packs.write(connection, home, pack, tmp_path / "again")
    assert (again.folder / "manifest.json").read_text() == (dispute_pack / "manifest.json").read_text()


def test_no_number_is_whole_and_nobody_else_is_named_in_a_dispute(demo, dispute_pack):
    home, _ = demo
    said = everything_said(dispute_pack)
    others = {
        name
        for row in warehouse(home, "select party_id, party_name from stage.stg_terms__parties")
        for name in row
        if row[0] != "atlantic-voice"
    } | {name for (name,) in warehouse(home, "select account_id from stage.stg_terms__accounts")}
    assert len(others) > 40 and names_in(said, others) == set()
    numbers = {
        number
        for row in warehouse(
            home,
            "select origin, destination from stage.int_events_deduplicated where carrier_id = 'atlantic-voice'",
        )
        for number in row
    }
    assert len(numbers) > 500 and not [number for number in numbers if number in said]
    assert all(re.fullmatch(r"[0-9]+\*{4}", event["destination"]) for event in table(dispute_pack, "events"))
    assert not [name for (name,) in warehouse(home, "select event_id from rate.int_events_rated") if name in said]


def test_the_letter_calls_nobody_and_holds_what_was_written_as_text(dispute_pack):
    letter = (dispute_pack / "letter.html").read_text()
    assert "=Us &amp; &lt;Them&gt;" in letter and "Atlantic Voice Inc." in letter
    assert re.findall(r"(?:src=|href=|url\(|@import|<script|<link)[^>]*", letter) == []
    assert "default-src 'none'" in letter and "@media print" in letter


def test_a_sample_of_events_leaves_the_recomputation_whole(demo, tmp_path):
    home = Home(demo[0])
    with packs.sources(home) as connection:
        pack = dispute.gather(connection, dispute.choose(connection, None, "atlantic-voice", None), event_limit=2)
        packed = packs.write(connection, home, pack, tmp_path / "sample")
    assert packed.rows["events"] <= 2 * packed.rows["lines"] and all(row["agrees"] for row in packed.totals)


def test_a_command_says_money_with_the_decimals_of_its_currency(demo):
    money = outgoing._money(Home(demo[0]))
    told = [money(Decimal("0.4"), "USD"), money(Decimal("45"), "KWD"), money(Decimal("531.0"), "JPY")]
    assert told == ["0.40 USD", "45.000 KWD", "531 JPY"] and money(Decimal("0.02424"), "EUR") == "0.02424 EUR"


def test_a_letter_without_a_sender_says_so_where_nobody_can_overlook_it(demo, tmp_path):
    home = Home(demo[0])
    with packs.sources(home) as connection:
        pack = dispute.gather(connection, dispute.choose(connection, None, "atlantic-voice", None), event_limit=1)
        letter = (packs.write(connection, home, pack, tmp_path / "letter").folder / "letter.html").read_text()
    assert "<mark>name of your company: give --sender</mark>" in letter
    assert re.search(r"As of</span><br>2\d{3}-\d\d-\d\d<", letter)


def test_the_sender_is_the_company_of_the_bank_accounts_where_they_agree_on_a_name():
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as tollgate")
        connection.execute("create schema tollgate.stage")
        connection.execute(
            """create table tollgate.stage.stg_terms__bank_accounts as
            select * from (values ('us', 'Our Company GmbH', null), ('us', 'Our Company GmbH', null),
                ('us', 'Refused', 'iban_unreadable'), ('them', 'Theirs', null)
            ) as accounts(party_id, account_holder, refusal_reason)"""
        )
        assert packs.sender_name(connection) == "Our Company GmbH"
        connection.execute("insert into tollgate.stage.stg_terms__bank_accounts values ('us', 'Our Branch', null)")
        assert packs.sender_name(connection) is None


@pytest.mark.parametrize(
    "kinds", [("clock", "rounding"), ("dial_code", "increments"), ("unanswered", "old_deck"), None]
)
def test_disputes_of_carriers_with_known_mistakes_recompute_and_a_changed_figure_shows(mistaken, tmp_path, kinds):
    carrier = mistaken.carrier(*kinds) if kinds else mistaken.foreign
    with packs.sources(mistaken.home) as connection:
        chosen = dispute.choose(connection, None, carrier.carrier_id, None)
        pack = dispute.gather(connection, chosen)
        packed = packs.write(connection, mistaken.home, pack, tmp_path / "pack")
    assert {row["id"]: row["recomputed_amount"] for row in packed.totals} == {
        row["dispute_id"]: row["dispute_amount"] for row in chosen
    }
    usage = packed.folder / "parquet" / "usage.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"create table usage as from '{usage}'")
        connection.execute("update usage set undivided_amount = undivided_amount * 2")
        connection.execute(f"copy usage to '{usage}' (format parquet)")
    assert not all(row["agrees"] for row in packs.recompute(packed.folder))


# --- statements -------------------------------------------------------------------------------------------------------


def test_the_statement_of_each_partner_recomputes_and_holds_nothing_of_another(demo, tmp_path):
    home = Home(demo[0])
    parties = dict(warehouse(demo[0], "select party_id, party_name from stage.stg_terms__parties"))
    accounts = warehouse(demo[0], "select account_id, partner_id from stage.stg_terms__accounts")
    rules = warehouse(
        demo[0], "select rule_id, seller_partner_id, beneficiary_partner_id from stage.stg_terms__revenue_shares"
    )
    # A rule for a role has whoever took part in it.
    rules += published(
        demo[0],
        "select distinct rule_id, seller_partner_id, beneficiary_partner_id from settle.fct_revenue_share_allocations",
    )
    agreements = warehouse(demo[0], "select agreement_id, party_id from stage.stg_terms__agreements")
    plans = warehouse(demo[0], "select plan_id, partner_id from stage.stg_terms__plans")
    amounts = published(
        demo[0],
        """select partner_id, charge_amount from settle.fct_partner_statements where charge_amount > 1
        union all select partner_id, charge_amount from settle.fct_partner_statement_lines where charge_amount > 1
        union all select seller_partner_id, gross_amount from settle.fct_revenue_share_allocations
            where gross_amount > 1""",
    )
    partners = [name for (name,) in published(demo[0], "select partner_id from settle.dim_partners order by 1")]
    assert len(partners) == 9
    received = 0
    for partner in partners:
        with packs.sources(home) as connection:
            month = statement.choose_month(connection, partner, None)
            packed = packs.write(connection, home, statement.gather(connection, partner, month), tmp_path / partner)
        assert month == MONTH
        totals = {row["id"]: row["recomputed_amount"] for row in packed.totals}
        assert totals == dict(
            published(
                demo[0],
                f"""select statement_id, receivable_amount - payable_amount from settle.fct_partner_statements
                where partner_id = '{partner}' and period_start_date = date '2026-10-01'
                union all
                select 'net of ' || netting_statement_id, net_receivable_amount - net_payable_amount
                from settle.fct_netting_statements
                where party_id = '{partner}' and period_start_date = date '2026-10-01'""",
            )
        )
        own = {partner, *(beneficiary for _, seller, beneficiary in rules if seller == partner)}
        others = {name for party in parties.keys() - own for name in (party, parties[party])}
        others |= {rule for rule, seller, _ in rules if seller != partner}
        others |= {name for name, owner in accounts + agreements + plans if owner != partner}
        said = everything_said(packed.folder)
        assert names_in(said, others) == set(), partner
        held = {
            value
            for name in packed.rows
            for row in table(packed.folder, name)
            for column, value in row.items()
            if column.endswith("_amount")
        }
        of_others = {amount for owner, amount in amounts if owner != partner}
        assert held & (of_others - {amount for owner, amount in amounts if owner == partner}) == set(), partner
        received += packed.rows["shares_received"]
    ((allocations,),) = published(
        demo[0], "select count(*) from settle.fct_revenue_share_allocations where period_start_date = date '2026-10-01'"
    )
    assert received == allocations > 5


def test_a_statement_by_the_command_recomputes_where_there_is_nothing_but_duckdb(demo, tmp_path):
    run = called(demo[0], "statement", "--partner", "nordlink", "--period", "2026-10", "--into", str(tmp_path / "s"))
    assert run.exit_code == 0, run.stderr
    recomputed = recomputed_by_others(tmp_path / "s", tmp_path / "theirs")
    assert {(row[3], row[4]) for row in recomputed} == {("EUR", True), ("JPY", True)}
    page = (tmp_path / "s" / "statement.html").read_text()
    assert "NordLink GmbH" in page and "Shares owed to you" in page
    # Yen have no decimals, euros two.
    statements = csv.DictReader((tmp_path / "s" / "csv" / "statements.csv").open())
    [yen] = [row for row in statements if row["statement_currency"] == "JPY"]
    assert re.fullmatch(r"[0-9]+", yen["payable_amount"]) and yen["charge_amount"] == "0"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dispute-pack", "nobody:x"), "there is no dispute nobody:x; published are atlantic-voice:"),
        (("dispute-pack", "--carrier", "nobody"), "nothing is open in dispute with 'nobody'; with disputes: atlantic-"),
        (("dispute-pack",), "name a dispute, or a carrier with --carrier"),
        (("statement", "--partner", "nobody"), "'nobody' is no partner; published are acme-resale, "),
        (("statement", "--partner", "bluebird", "--period", "2020-01"), "has no statement of 2020-01; there are 2026-"),
    ],
)
def test_a_pack_of_what_is_not_there_is_a_wrong_call(demo, arguments, message):
    run = called(demo[0], *arguments)
    assert run.exit_code == 2 and message in run.stderr


def test_a_pack_is_made_of_what_was_published_or_not_at_all(demo, tmp_path):
    home = Home(tmp_path / "home")
    copy_home(demo[0], home.root)
    (tmp_path / "mine").mkdir()
    run = called(home.root, "statement", "--partner", "bluebird", "--into", str(tmp_path / "mine"))
    assert run.exit_code == 2 and "is in the way: it is no such pack" in run.stderr
    # A publication has a manifest too, and the books lie in it.
    run = called(home.root, "statement", "--partner", "bluebird", "--into", str(home.published))
    assert run.exit_code == 2 and "is no such pack" in run.stderr and (home.published / "ledger").exists()
    assert called(home.root, "statement", "--partner", "bluebird").exit_code == 0
    assert (home.packs / "statements" / "bluebird-2026-10" / "manifest.json").exists()
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("update settle.fct_disputes set dispute_amount = dispute_amount + 1")
    run = called(home.root, "dispute-pack", "--carrier", "atlantic-voice", "--into", str(tmp_path / "pack"))
    assert run.exit_code == 1 and "fct_disputes is not what was published" in run.stderr
    assert not (tmp_path / "pack").exists() and not list(tmp_path.glob(".pack*"))
    (home.published / "settlement.duckdb").unlink()
    with pytest.raises(packs.NoPack, match="holds no publication yet"), packs.sources(home):
        pass


# --- tables -----------------------------------------------------------------------------------------------------------

NASTY = [
    "=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "a;=cmd|' /C calc'!A0", 'x","=1', "\uff1d1+1", "a\n-2",
    "{=1}", "http://evil.example", "plain", "'=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def nasty_tables(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nasty") / "pack"
    with duckdb.connect() as connection:
        connection.execute("create schema pack")
        connection.execute("create table pack.texts as select unnest($texts) as words", {"texts": NASTY})
        connection.execute(
            """create table pack.amounts as
            select * from (values
                (cast(-1.5 as decimal(38, 12)), 'EUR', 9007199254740993, date '2026-10-01', true,
                    timestamp '2026-10-01 00:00:01'),
                (9.95, 'KWD', 7, null, false, null),
                (12, 'JPY', 7, null, null, null),
                (1234567890123456.789, 'EUR', 7, null, null, null),
                (0.1 + 0.2, 'USD', 7, null, null, null)
            ) as rows (charge_amount, charge_currency, event_count, posting_date, is_good, known_at)"""
        )
        connection.execute("create table pack.empty as select 1 as nothing where false")
        tables = [Table(name, f"{name}.") for name in ("texts", "amounts", "empty")]
        counts = write_tables(
            connection, tables, folder, {"EUR": 2, "KWD": 3, "JPY": 0, "USD": 2}, datetime(2026, 11, 1)
        )
    assert counts == {"texts": len(NASTY), "amounts": 5, "empty": 0}
    return folder


def test_no_text_of_a_csv_is_run_by_a_spreadsheet(nasty_tables):
    raw = (nasty_tables / "csv" / "texts.csv").read_text()
    cells = [row["words"] for row in csv.DictReader((nasty_tables / "csv" / "texts.csv").open(newline=""))]
    # Whatever mark a country's spreadsheet splits at, no piece begins with what it would run.
    pieces = [piece for cell in cells for piece in re.split(r"[,;|\t\r\n]", cell)]
    assert not [piece for piece in pieces if re.match(r"""["\s]*[=+\-@\uff1d]""", piece)]
    assert [cell for cell in cells if cell in NASTY] == ["{=1}", "http://evil.example", "plain", "'=1"]
    assert all(line.startswith('"') for line in raw.split("\r\n") if line)
    assert without_formulas("Côte d'Ivoire - Mobile (2)") == "Côte d'Ivoire - Mobile (2)"


def test_no_text_of_a_workbook_is_a_formula_and_no_number_a_float(nasty_tables):
    with zipfile.ZipFile(nasty_tables / "tables.xlsx") as workbook:
        sheets = {name: workbook.read(name).decode() for name in workbook.namelist() if "worksheets/" in name}
    assert len(sheets) == 4 and not [name for name, sheet in sheets.items() if "<f>" in sheet or "hyperlink" in sheet]
    assert "<v>9.950</v>" in sheets["xl/worksheets/sheet3.xml"] and "<v>0.30</v>" in sheets["xl/worksheets/sheet3.xml"]
    book = openpyxl.load_workbook(nasty_tables / "tables.xlsx")
    texts = [row[0] for row in book["texts"].iter_rows(min_row=2)]
    assert [cell.data_type for cell in texts] == ["s"] * len(NASTY)
    rows = list(book["amounts"].iter_rows(min_row=2))
    assert [(row[0].value, row[0].data_type, row[0].number_format) for row in rows] == [
        (-1.5, "n", "0.00"), (9.95, "n", "0.000"), (12, "n", "0"), ("1234567890123456.789", "s", "@"),
        (0.3, "n", "0.00"),
    ]  # fmt: skip
    assert (rows[0][2].value, rows[0][2].data_type) == ("9007199254740993", "s")
    assert [cell.value for cell in book["empty"][1]] == ["nothing"]


def test_amounts_of_a_csv_are_exact_and_have_the_decimals_of_their_currency(nasty_tables):
    rows = list(csv.DictReader((nasty_tables / "csv" / "amounts.csv").open()))
    assert [row["charge_amount"] for row in rows] == ["-1.50", "9.950", "12", "1234567890123456.789", "0.30"]
    assert (rows[0]["event_count"], rows[0]["posting_date"], rows[0]["is_good"], rows[0]["known_at"]) == (
        "9007199254740993", "2026-10-01", "true", "2026-10-01T00:00:01Z",
    )  # fmt: skip
    assert rows[1]["posting_date"] == rows[1]["known_at"] == ""
    assert [amount_text(Decimal(text), 2) for text in ("0", "0E+3", "100", "1E+2", "-0.005", "31.410000")] == [
        "0.00", "0.00", "100.00", "100.00", "-0.005", "31.41",
    ]  # fmt: skip
