"""What carriers charge beside usage, on a real home: rented numbers, surcharges by network, forgotten and unknown fees,
and the tax on them, from terms and landing files to the published tables.
"""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import tollgate
from test_end_to_end import DEMO_TERMS, published, warehouse
from test_feeds_of_invoices import INVOICE

FEES = """\
agreement_id,fee_name,fee_kind,service,direction,country_code,mcc,mnc,number_type,quantity_unit,fee_amount,fee_per_quantity,proration,is_taxed,valid_from_date,valid_until_date,committed_quantity,commitment_months
nordlink-2025,Number rental,per_number_month,,,,,,,,0.90,,by_day,,2025-01-01,2026-10-11,,
nordlink-2025,Number rental,per_number_month,,,,,,,,1.80,,by_day,,2026-10-11,,,
nordlink-2025,A2P carrier fee,per_quantity,sms,outbound,,262,01,,segment,10,1000,,false,2025-01-01,,,
nordlink-2025,A2P carrier fee,per_quantity,sms,outbound,,262,,,segment,20,1000,,false,2025-01-01,,,
nordlink-2025,A2P carrier fee,per_quantity,sms,outbound,DE,,,,segment,0.03,1,,false,2025-01-01,,,
nordlink-2025,Interconnect port,per_month,,,,,,,,35.00,,,,2025-01-01,,,
nordlink-2025,Minimum spend,minimum_amount,,,,,,,,10,,,,2026-10-01,,,
textwave-2025,Short code,per_month,,,,,,,,500,,,,2026-10-01,2026-11-01,,
ponte-2026,Port fee,per_month,,,,,,,,50,,,,2026-01-01,,,
ponte-2026,Unused minutes,minimum_quantity,voice,,,,,,minute,0.05,1,,,2026-08-01,,10,3
ponte-2026,Regulatory recovery,per_event,voice,,,,,,,1.5,,,,2026-01-01,,,
nobody-2026,Port fee,per_month,,,,,,,,50,,,,2026-01-01,,,
ponte-2026,Sunday fee,per_sunday,,,,,,,,50,,,,2026-01-01,,,
"""
NUMBERS = """\
number,carrier_id,number_type,country_code,valid_from_date,valid_until_date
+493022610001,nordlink,geographic,DE,2025-01-01,
+493022610002,nordlink,geographic,DE,2025-01-01,2026-10-16
+493022610003,nordlink,geographic,DE,2025-01-01,2026-10-16
+493022610003,textwave,geographic,DE,2026-10-01,
"""
# Eight segments over the network 262 01, four over another of the country, two over one that the record does not name.
USAGE = """\
event_id,service,direction,account_id,carrier_id,destination,mcc,mnc,started_at,status,quantity,quantity_unit,received_at
s1,sms,outbound,bluebird-eu,nordlink,4915112345678,262,01,2026-10-05T12:00:00Z,delivered,3,segment,2026-10-05T12:02:00Z
s2,sms,outbound,bluebird-eu,nordlink,4915112345678,262,01,2026-10-06T12:00:00Z,delivered,5,segment,2026-10-06T12:02:00Z
s3,sms,outbound,bluebird-eu,nordlink,4917212345678,262,02,2026-10-06T12:00:00Z,delivered,4,segment,2026-10-06T12:02:00Z
s4,sms,outbound,bluebird-eu,nordlink,4917212345678,,,2026-10-07T12:00:00Z,delivered,2,segment,2026-10-07T12:02:00Z
s5,sms,outbound,bluebird-eu,nordlink,4915112345678,262,01,2026-10-07T12:00:00Z,rejected,9,segment,2026-10-07T12:02:00Z
t1,sms,outbound,bluebird-eu,textwave,4915112345678,262,01,2026-10-05T12:00:00Z,delivered,1,segment,2026-10-05T12:02:00Z
v1,voice,outbound,bluebird-eu,ponte-wholesale,4915112345678,,,2026-10-05T10:00:00Z,answered,60,second,2026-10-05T10:02:00Z
v2,voice,outbound,bluebird-eu,ponte-wholesale,4915112345678,,,2026-10-06T10:00:00Z,answered,60,second,2026-10-06T10:02:00Z
"""
DECK = """\
carrier_id,service,direction,deck_version,deck_kind,received_at,effective_date,dial_code,destination_name,change_type,rate_amount,rate_currency,rate_per_quantity,rate_unit,connect_fee_amount
nordlink,sms,outbound,1,full,2026-09-01T00:00:00Z,2026-09-15,49,Germany,new,0.10,EUR,1,segment,
textwave,sms,outbound,1,full,2026-09-01T00:00:00Z,2026-09-15,49,Germany,new,0.08,EUR,1,segment,
ponte-wholesale,voice,outbound,1,full,2026-09-01T00:00:00Z,2026-09-15,49,Germany,new,0.12,EUR,60,second,
ponte-wholesale,sms,outbound,1,full,2026-09-01T00:00:00Z,2026-09-15,,Spain,new,0.12,EUR,1,segment,
ponte-wholesale,sms,outbound,1,full,2026-09-01T00:00:00Z,2026-09-15,,Spain Mobile,new,0.12,EUR,1,segment,
"""
INVOICE_HEADER = (
    "carrier_id,invoice_number,invoice_version,invoice_date,billing_period_start_date,currency,line_number,line_type,"
    "service,direction,destination_name,service_first_date,service_last_date,event_count,billed_quantity,quantity_unit,"
    "rate_amount,rate_per_quantity,amount,description,fee_name,invoice_total_amount"
)
# Usage right; rental right in two lines, of which the second names its fee in a column; a surcharge half a euro too
# high, and not taxed; the port forgotten; a fee that nobody agreed to; half a euro too much for what the usage lacks of
# 10.00. Tax on what was billed: 19 % of 15.59.
LINES = [
    ("usage", "sms,outbound,Germany,2026-10-01,2026-10-31,4,14,segment,0.10,1", "1.40", "", ""),
    ("fee", ",,,,,,,,,", "1.05", "number RENTAL", ""),
    ("fee", ",,,,,,,,,", "1.04", "of +493022610002 until 15 October", "Number rental"),
    ("fee", ",,,,,,,,,", "0.72", "A2P carrier fee", ""),
    ("fee", ",,,,,,,,,", "3.00", "Gift wrapping", ""),
    ("fee", ",,,,,,,,,", "9.10", "Minimum spend", ""),
    ("tax", ",,,,,,,,,", "2.96", "VAT 19 %", ""),
]
TOTAL = "19.27"
# A fee that nobody agreed to, calls that nobody made, of which more is given back than billed; and a bill of before the
# agreement.
OTHERS = """\
gulf-connect,GC-1,1,2026-11-02,2026-10-01,KWD,1,fee,,,,,,,,,,,50.000,Gift set,,46.000
gulf-connect,GC-1,1,2026-11-02,2026-10-01,KWD,2,usage,voice,outbound,Kuwait,2026-10-01,2026-10-31,,,,,,-5.000,,,46.000
gulf-connect,GC-1,1,2026-11-02,2026-10-01,KWD,3,usage,voice,outbound,Oman,2026-10-01,2026-10-31,,,,,,1.000,,,46.000
sakura-tel,SK-1,1,2024-11-02,2024-10-01,JPY,1,fee,,,,,,,,,,,500,Old port,,500
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was settled with terms of its own. Read only."""
    folder = tmp_path_factory.mktemp("fees")
    shutil.copytree(DEMO_TERMS, folder / "terms")
    (folder / "terms" / "carrier_fees.csv").write_text(FEES)
    (folder / "terms" / "numbers.csv").write_text(NUMBERS)
    with (folder / "terms" / "rating_terms.csv").open("a") as file:
        file.write("nordlink-2025,sms,outbound,segment,1,1,residual,submitted,,,,,,\n")
    invoice = [
        f"nordlink,NL-1,1,2026-11-02,2026-10-01,EUR,{number},{line_type},{usage},{amount},{text},{fee_name},{TOTAL}"
        for number, (line_type, usage, amount, text, fee_name) in enumerate(LINES, 1)
    ]
    charge = (
        "<a:AllowanceCharge><b:ChargeIndicator>true</b:ChargeIndicator>"
        "<b:AllowanceChargeReason>Regulatory Recovery</b:AllowanceChargeReason>"
        '<b:Amount currencyID="EUR">3.00</b:Amount></a:AllowanceCharge>'
    )
    files = {
        "usage/native/usage.csv": USAGE,
        "rate_decks/native/decks.csv": DECK,
        "carrier_invoices/native/nordlink.csv": "\n".join([INVOICE_HEADER, *invoice]) + "\n",
        "carrier_invoices/native/others.csv": f"{INVOICE_HEADER}\n{OTHERS}",
        "carrier_invoices/ubl/ponte-wholesale_PW-77.xml": INVOICE.replace(
            "<a:LegalMonetaryTotal>", charge + "<a:LegalMonetaryTotal>", 1
        ).replace("305.02", "308.02"),
    }
    for name, text in files.items():
        path = folder / "home" / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run = tollgate(folder / "home", "run", terms=folder / "terms")
    assert run.returncode == 0, run.stdout + run.stderr
    for said in (
        "term refused: carrier_fees, nobody-2026 Port fee: agreement_unknown",
        "term refused: carrier_fees, ponte-2026 Sunday fee: fee_kind_unknown",
        "term refused: numbers, 493022610003: terms_overlap",
        # A deck by names that nobody maps is held back, and the rest settles.
        "2 rows refused: rate_decks/native, destination_name_unmapped",
    ):
        assert said in run.stdout
    return folder / "home"


def money(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


def test_each_fee_is_counted_and_rounded_by_the_agreement(home):
    found = warehouse(
        home,
        """select expected_fee_id, expected_fee_amount from reconcile.int_fees_expected
        where period_start_date = date '2026-10-01' order by 1""",
    )
    assert dict(found) == {
        # 10 days of two numbers at 0.90, then 21 of one and 5 of the other at 1.80: 64.80 / 31 = 2.0903.
        "nordlink-2025:2026-10:number rental": Decimal("2.09"),
        "nordlink-2025:2026-10:a2p carrier fee": Decimal("0.22"),  # 8 at 0.01, 4 at 0.02, 2 at 0.03
        "nordlink-2025:2026-10:interconnect port": Decimal("35"),
        "nordlink-2025:2026-10:minimum spend": Decimal("8.60"),  # 14 segments at 0.10 of 10
        "ponte-2026:2026-10:port fee": Decimal("50"),
        "ponte-2026:2026-10:regulatory recovery": Decimal("3"),  # two calls
        "ponte-2026:2026-10:unused minutes": Decimal("0.40"),  # two of ten in August to October
        "textwave-2025:2026-10:short code": Decimal("500"),
    }


def test_fee_and_tax_lines_are_compared_with_what_is_agreed(home):
    found = published(
        home,
        """select line_description, invoiced_amount, rated_amount, line_status from settle.fct_carrier_invoice_lines
        where line_type != 'usage' and carrier_id in ('nordlink', 'ponte-wholesale')""",
    )
    assert {name: (*amounts, status) for name, *amounts, status in found} == {
        "number RENTAL": (*money("1.05", "1.05"), "agreed"),
        "of +493022610002 until 15 October": (*money("1.04", "1.04"), "agreed"),
        "A2P carrier fee": (*money("0.72", "0.22"), "tolerated"),
        "Gift wrapping": (*money("3", "0"), "tolerated"),
        "Minimum spend": (*money("9.10", "8.60"), "tolerated"),
        "VAT 19 %": (*money("2.96", "2.96"), "agreed"),
        "Interconnect port, expected, not invoiced": (*money("0", "35"), "not_invoiced"),
        "Unused minutes, expected, not invoiced": (*money("0", "0.40"), "not_invoiced"),
        "Port fee": (*money("60", "50"), "tolerated"),
        "Regulatory Recovery": (*money("3", "3"), "agreed"),
        "S 22 %": (*money("55", "0"), "disputed"),
    }


def test_a_fee_is_a_cause_only_by_what_it_differs(home):
    found = published(
        home,
        """select carrier_id, cause, sum(component_variance_amount) from settle.fct_variance_components
        where carrier_id = 'nordlink' or carrier_id = 'ponte-wholesale' and cause in ('FEE', 'TAX')
        group by all order by all""",
    )
    assert found == [
        ("nordlink", "COMMITMENT", Decimal("0.50")),
        ("nordlink", "FEE", Decimal("3.50")),
        ("nordlink", "MISSING_THEIRS", Decimal("-35")),
        ("ponte-wholesale", "FEE", Decimal("10")),
        ("ponte-wholesale", "TAX", Decimal("55")),
    ]


def test_what_is_committed_to_stands_beside_what_was_used_and_falls_due(home):
    assert published(
        home,
        """select fee_name, committed_quantity, used_quantity, committed_amount, used_amount, shortfall_amount,
            is_over, strftime(first_date, '%Y-%m')
        from settle.fct_commitments where committed_by = 'us' and period_start_date = date '2026-10-01'
        order by fee_name""",
    ) == [
        ("Minimum spend", None, None, Decimal("10"), Decimal("1.4"), Decimal("8.6"), True, "2026-10"),
        ("Unused minutes", Decimal("600"), Decimal("120"), None, None, Decimal("0.4"), True, "2026-08"),
    ]


def test_a_shortfall_is_explained_by_what_was_committed_and_what_was_used(home):
    ((line,),) = published(
        home,
        """select invoice_line_id from settle.fct_carrier_invoice_lines where line_description = 'Minimum spend'""",
    )
    told = tollgate(home, "explain", line, terms=home.parent / "terms")
    assert told.returncode == 0, told.stdout + told.stderr
    said = " ".join(told.stdout.split())
    assert "Committed is usage for 10 EUR from 2026-10-01 to 2026-10-31; it came to 1.4 EUR: 8.6 EUR are due" in said


def test_what_comes_back_on_a_line_is_not_withheld_again_and_a_bill_of_before_the_agreement_is_withheld_whole(home):
    assert published(
        home,
        """select carrier_id, invoiced_amount, disputed_amount, withheld_amount, payable_amount
        from settle.fct_carrier_settlements where carrier_id in ('gulf-connect', 'sakura-tel') order by 1""",
    ) == [("gulf-connect", *money("46", "50", "46", "0")), ("sakura-tel", *money("500", "0", "500", "0"))]


def test_a_fee_that_no_invoice_is_about_is_accrued_and_booked(home):
    assert published(
        home,
        """select carrier_id, fee_name, service, event_count, accrued_amount, accrual_currency
        from settle.fct_accruals where period_start_date = date '2026-10-01' order by fee_name nulls last""",
    ) == [
        ("textwave", "Short code", None, 0, Decimal("500"), "EUR"),
        ("textwave", None, "sms", 1, Decimal("0.08"), "EUR"),
    ]
    assert published(
        home,
        """select carrier_id, line_type, coalesce(fee_name, destination_name), event_count, expected_amount
        from settle.fct_expected_invoice_lines where period_start_date = date '2026-10-01' order by line_type""",
    ) == [
        ("textwave", "fee", "Short code", 0, Decimal("500")),
        ("textwave", "usage", "Germany", 1, Decimal("0.08")),
    ]
    assert published(
        home,
        """select sum(debit_amount) from settle.fct_settlement_ledger
        where entry_type = 'carrier_accrual' and party_id = 'textwave' and origin_period_date = date '2026-10-01'""",
    ) == [(Decimal("500.08"),)]
