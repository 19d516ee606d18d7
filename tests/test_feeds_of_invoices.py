"""Invoices and credit notes in UBL: what a carrier's XML says is staged to the cent, and adds up to its total."""

import shutil
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conftest import REAL_FILES, needs_real_files

NAMESPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:specification:ubl:schema:xsd:Common{kind}Components-2"'
    for prefix, kind in (("b", "Basic"), ("a", "Aggregate"))
)
INVOICE = f"""<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" {NAMESPACES}>
  <b:ID>PW-77</b:ID><b:IssueDate>2026-11-03</b:IssueDate>
  <b:InvoiceTypeCode>380</b:InvoiceTypeCode>
  <b:DocumentCurrencyCode>EUR</b:DocumentCurrencyCode><b:TaxCurrencyCode>SEK</b:TaxCurrencyCode>
  <a:InvoicePeriod><b:StartDate>2026-10-01</b:StartDate><b:EndDate>2026-10-31</b:EndDate></a:InvoicePeriod>
  <a:TaxTotal>
    <b:TaxAmount currencyID="EUR">55.00</b:TaxAmount>
    <a:TaxSubtotal>
      <b:TaxableAmount currencyID="EUR">250.02</b:TaxableAmount><b:TaxAmount currencyID="EUR">55.00</b:TaxAmount>
      <a:TaxCategory><b:ID>S</b:ID><b:Percent>22</b:Percent></a:TaxCategory>
    </a:TaxSubtotal>
  </a:TaxTotal>
  <a:TaxTotal><b:TaxAmount currencyID="SEK">605.00</b:TaxAmount></a:TaxTotal>
  <a:LegalMonetaryTotal>
    <b:LineExtensionAmount currencyID="EUR">250.02</b:LineExtensionAmount>
    <b:TaxInclusiveAmount currencyID="EUR">305.02</b:TaxInclusiveAmount>
    <b:PrepaidAmount currencyID="EUR">100.00</b:PrepaidAmount>
    <b:PayableRoundingAmount currencyID="EUR">-0.02</b:PayableRoundingAmount>
    <b:PayableAmount currencyID="EUR">205.00</b:PayableAmount>
  </a:LegalMonetaryTotal>
  <a:InvoiceLine>
    <b:ID>1</b:ID>
    <b:InvoicedQuantity unitCode="MIN">1000.05</b:InvoicedQuantity>
    <b:LineExtensionAmount currencyID="EUR">117.51</b:LineExtensionAmount>
    <a:Item>
      <b:Name>Albania Mobile</b:Name>
      <a:AdditionalItemProperty><b:Name>service</b:Name><b:Value>voice</b:Value></a:AdditionalItemProperty>
      <a:AdditionalItemProperty><b:Name>direction</b:Name><b:Value>outbound</b:Value></a:AdditionalItemProperty>
      <a:AdditionalItemProperty><b:Name>event_count</b:Name><b:Value>412</b:Value></a:AdditionalItemProperty>
    </a:Item>
    <a:Price>
      <b:PriceAmount currencyID="EUR">0.1175</b:PriceAmount><b:BaseQuantity unitCode="MIN">1</b:BaseQuantity>
    </a:Price>
  </a:InvoiceLine>
  <a:InvoiceLine>
    <b:ID>SMS/1</b:ID>
    <b:InvoicedQuantity unitCode="C62">1250</b:InvoicedQuantity>
    <b:LineExtensionAmount currencyID="EUR">72.51</b:LineExtensionAmount>
    <a:InvoicePeriod><b:StartDate>2026-10-01</b:StartDate><b:EndDate>2026-10-15</b:EndDate></a:InvoicePeriod>
    <a:Item>
      <b:Name>Italy</b:Name>
      <a:AdditionalItemProperty><b:Name>service</b:Name><b:Value>sms</b:Value></a:AdditionalItemProperty>
      <a:AdditionalItemProperty><b:Name>direction</b:Name><b:Value>outbound</b:Value></a:AdditionalItemProperty>
      <a:AdditionalItemProperty><b:Name>event_count</b:Name><b:Value>1100</b:Value></a:AdditionalItemProperty>
    </a:Item>
    <a:Price>
      <b:PriceAmount currencyID="EUR">58.005</b:PriceAmount><b:BaseQuantity unitCode="C62">1000</b:BaseQuantity>
    </a:Price>
  </a:InvoiceLine>
  <a:InvoiceLine>
    <b:ID>3</b:ID>
    <b:InvoicedQuantity unitCode="MON">1</b:InvoicedQuantity>
    <b:LineExtensionAmount currencyID="EUR">60.00</b:LineExtensionAmount>
    <a:Item><b:Name>Port fee</b:Name></a:Item>
    <a:Price><b:PriceAmount currencyID="EUR">60.00</b:PriceAmount></a:Price>
  </a:InvoiceLine>
</Invoice>
"""
CREDIT_NOTE = f"""<?xml version="1.0" encoding="UTF-8"?>
<CreditNote xmlns="urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2" {NAMESPACES}>
  <b:ID>CN-9</b:ID><b:IssueDate>2026-11-20</b:IssueDate>
  <b:CreditNoteTypeCode>381</b:CreditNoteTypeCode><b:DocumentCurrencyCode>EUR</b:DocumentCurrencyCode>
  <a:BillingReference><a:InvoiceDocumentReference><b:ID>PW-77</b:ID></a:InvoiceDocumentReference></a:BillingReference>
  <a:TaxTotal>
    <b:TaxAmount currencyID="EUR">3.30</b:TaxAmount>
    <a:TaxSubtotal><b:TaxAmount currencyID="EUR">3.30</b:TaxAmount></a:TaxSubtotal>
  </a:TaxTotal>
  <a:LegalMonetaryTotal><b:TaxInclusiveAmount currencyID="EUR">18.30</b:TaxInclusiveAmount></a:LegalMonetaryTotal>
  <a:CreditNoteLine>
    <b:ID>1</b:ID><b:LineExtensionAmount currencyID="EUR">11.00</b:LineExtensionAmount>
    <a:Item>
      <b:Name>Albania Mobile at the old rate</b:Name>
      <a:AdditionalItemProperty><b:Name>cause</b:Name><b:Value>rate</b:Value></a:AdditionalItemProperty>
    </a:Item>
  </a:CreditNoteLine>
  <a:CreditNoteLine>
    <b:ID>2</b:ID><b:LineExtensionAmount currencyID="EUR">4.00</b:LineExtensionAmount>
    <a:Item><b:Name>Goodwill</b:Name></a:Item>
  </a:CreditNoteLine>
</CreditNote>
"""
LANDED = {
    "carrier_invoices/ubl/ponte-wholesale_PW-77.xml": INVOICE,
    # Each says another thing that no reader may pass over.
    "carrier_invoices/ubl/nordlink_flipped.xml": INVOICE.replace(">117.51<", ">-117.51<").replace(
        ">72.51<", ">-72.51<"
    ),
    "carrier_invoices/ubl/nordlink_currency.xml": INVOICE.replace("EUR", "EUX"),
    "carrier_invoices/ubl/nordlink_comma.xml": INVOICE.replace(">117.51<", ">117,51<"),
    "carrier_invoices/ubl/nordlink_misplaced.xml": CREDIT_NOTE,
    "credit_notes/ubl/ponte-wholesale_CN-9.xml": CREDIT_NOTE,
    "credit_notes/ubl/nordlink_CN-9.xml": CREDIT_NOTE.replace(">4.00<", ">4.0000001<"),
    "credit_notes/ubl/nordlink_misplaced.xml": INVOICE,
}
RECORDS = {
    "carrier_invoices": ("InvoiceLine", "AllowanceCharge", "TaxTotal/TaxSubtotal"),
    "credit_notes": ("CreditNoteLine", "AllowanceCharge", "TaxTotal/TaxSubtotal"),
}


def root_of(path: Path) -> ElementTree.Element:
    """The document with local names, as paths are written."""
    root = ElementTree.parse(path).getroot()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The invented documents and, where they are, the real ones under a carrier's name."""
    folder = tmp_path_factory.mktemp("home") / "landing"
    for name, text in LANDED.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in sorted((REAL_FILES / "invoices").glob("ubl_peppol_*.xml")):
        shutil.copy(path, folder / "carrier_invoices" / "ubl" / f"real_{path.name}")
    return folder


@pytest.fixture(scope="module")
def rows(staged, landing):
    """A function that gives the rows of a query on the staged warehouse."""
    with duckdb.connect(str(staged(landing))) as connection:
        yield lambda sql, *values: connection.execute(sql, values).fetchall()


def staged_of(rows, kind: str, file_name: str, columns: str) -> list[tuple]:
    """Columns of the staged rows of one file, in no order."""
    return rows(
        f"""
        select {columns} from stage.stg_{kind}__ubl
        where file_id = (select file_id from ingest.files where kind = ? and feed = 'ubl' and file_name = ?)
        """,
        kind,
        file_name,
    )


def refused(rows, kind: str, file_name: str) -> dict[str | None, Decimal]:
    """Amounts of one file by the reason for which they are refused."""
    amount = {"carrier_invoices": "invoiced_amount", "credit_notes": "credit_amount"}[kind]
    found = staged_of(rows, kind, file_name, f"refusal_reason, sum({amount}) over (partition by refusal_reason)")
    return dict(found)


@pytest.mark.parametrize("kind", RECORDS)
def test_every_record_of_every_file_is_loaded_or_in_quarantine(rows, landing, kind):
    ledger = rows("select file_name, loaded_count + quarantined_count from ingest.files where kind = ?", kind)
    counted = {
        path.name: sum(len(root_of(path).findall(record)) for record in RECORDS[kind])
        for path in (landing / kind / "ubl").iterdir()
    }
    assert dict(ledger) == counted | {"nordlink_misplaced.xml": 0}


def test_a_document_of_the_other_kind_gives_no_row_and_is_told(rows):
    """A credit note that counts as an invoice would be paid instead of got back."""
    for kind, lacking in (("carrier_invoices", "InvoiceTypeCode"), ("credit_notes", "CreditNoteTypeCode")):
        assert staged_of(rows, kind, "nordlink_misplaced.xml", "file_id") == []
        query = "select message from ingest.files where kind = ? and file_name = 'nordlink_misplaced.xml'"
        assert f"required column missing: {lacking}" in rows(query, kind)[0][0]


def test_an_invoice_is_staged_to_the_last_digit(rows):
    columns = (
        *("line_description", "line_type", "quantity_unit", "invoiced_event_count", "invoiced_quantity"),
        *("invoiced_rate_amount", "invoiced_rate_per_quantity", "invoiced_amount", "refusal_reason"),
    )
    found = staged_of(rows, "carrier_invoices", "ponte-wholesale_PW-77.xml", ", ".join(columns))
    assert {name: tuple(map(str, values)) for name, *values in found} == {
        "Albania Mobile": ("usage", "second", "412", "60003.000", "0.11750000", "60", "117.510000", "None"),
        "Italy": ("usage", "segment", "1100", "1250.000", "58.00500000", "1000", "72.510000", "None"),
        "Port fee": ("fee", *["None"] * 5, "60.000000", "None"),
        "S 22 %": ("tax", *["None"] * 5, "55.000000", "None"),
    }


def test_an_invoice_has_one_number_per_line_and_adds_up_to_its_total_with_tax(rows):
    """What was prepaid and what is rounded for payment is no part of the total; neither is the tax in SEK."""
    (found,) = rows(
        """
        select
            count(distinct line_number), sum(invoiced_amount), max(invoice_total_amount),
            min(carrier_id), min(invoice_currency), min(cast(billing_period_start_date as varchar))
        from stage.int_invoice_lines_collected where invoice_number = 'PW-77' and carrier_id = 'ponte-wholesale'
        """
    )
    assert found == (4, Decimal("305.02"), Decimal("305.02"), "ponte-wholesale", "EUR", "2026-10-01")


@pytest.mark.parametrize(
    ("file_name", "accepted", "reason", "amount"),
    [
        ("nordlink_flipped.xml", "115", "money_sign_flipped", "-190.02"),
        ("nordlink_currency.xml", None, "currency_unknown", "305.02"),
        ("nordlink_comma.xml", "187.51", "amount_unreadable", None),
    ],
)
def test_what_an_invoice_says_wrongly_is_refused_with_its_money(rows, file_name, accepted, reason, amount):
    expected = {reason: amount and Decimal(amount)} | ({None: Decimal(accepted)} if accepted else {})
    assert refused(rows, "carrier_invoices", file_name) == expected


def test_a_credit_note_comes_back_with_its_tax(rows):
    found = staged_of(
        rows, "credit_notes", "ponte-wholesale_CN-9.xml", "invoice_number, cause, credit_amount, refusal_reason"
    )
    assert sorted(found, key=str) == [
        ("PW-77", "RATE", Decimal("11.000000"), None),
        ("PW-77", "TAX", Decimal("3.300000"), None),
        ("PW-77", None, Decimal("4.000000"), None),
    ]


def test_a_credit_note_whose_decimals_would_be_rounded_away_is_refused(rows):
    assert refused(rows, "credit_notes", "nordlink_CN-9.xml") == {
        "amount_has_more_than_6_decimals": Decimal("4"),
        None: Decimal("14.3"),
    }


@needs_real_files
@pytest.mark.parametrize("path", sorted((REAL_FILES / "invoices").glob("ubl_peppol_*.xml")), ids=lambda path: path.stem)
def test_a_real_invoice_adds_up_to_the_total_that_it_states(rows, path):
    total = Decimal(root_of(path).findtext("LegalMonetaryTotal/TaxInclusiveAmount"))
    found = staged_of(rows, "carrier_invoices", f"real_{path.name}", "invoiced_amount, invoice_total_amount")
    assert sum(amount for amount, _ in found) == total
    assert {stated for _, stated in found} == {total}


@needs_real_files
def test_real_invoices_are_accepted_where_they_say_their_period(rows):
    assert refused(rows, "carrier_invoices", "real_ubl_peppol_Allowance-example.xml") == {None: Decimal("7125")}
    assert refused(rows, "carrier_invoices", "real_ubl_peppol_base-example.xml") == {
        "billing_period_unreadable": Decimal("1656.25")
    }


@needs_real_files
def test_real_allowances_are_negative_and_charges_are_not(rows):
    found = staged_of(
        rows,
        "carrier_invoices",
        "real_ubl_peppol_Allowance-example.xml",
        "line_type, line_description, invoiced_amount",
    )
    assert sorted((line_type, name, str(amount)) for line_type, name, amount in found) == [
        ("fee", "Cleaning", "200.000000"),
        ("fee", "Description of item", "1000.000000"),
        ("fee", "Description of item", "4000.000000"),
        ("fee", "Description of item", "900.000000"),
        ("fee", "Discount", "-200.000000"),
        ("tax", "E 0 %", "0.000000"),
        ("tax", "S 25 %", "1225.000000"),
    ]
