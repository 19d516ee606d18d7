"""Invoices that are right to send and awkward to settle, on a real home: lines that count nothing, two months or two
agreements on one invoice, two currencies, usage of no destination, messages billed by the message.

Belongs here: what stops a run, or settles wrongly, only when all models and laws meet it. Does not belong here: the
rules themselves (worked examples of the models).
"""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import tollgate
from test_end_to_end import DEMO_TERMS, USAGE_HEADER, published

RENEWED = {
    "agreements.csv": (
        "nordlink-2025,nordlink,carrier,2025-01-01,,",
        "nordlink-2025,nordlink,carrier,2025-01-01,2026-10-01,",
        "nordlink-2026,nordlink,carrier,2026-10-01,,",
    ),
    "rating_terms.csv": (
        "nordlink-2025,voice,outbound,",
        "nordlink-2025,voice,outbound,",
        "nordlink-2026,voice,outbound,",
    ),
    "tolerances.csv": ("nordlink-2025,*,", "nordlink-2025,*,", "nordlink-2026,*,"),
}
FEE = "textwave-2025,Message fee,per_quantity,sms,outbound,,,,,message,0.01,1,,,2025-01-01,,,\n"
USAGE = f"""\
{USAGE_HEADER}
n1,voice,outbound,bluebird-eu,nordlink,,4915112345678,2026-09-29T12:00:00Z,answered,60,second,2026-10-02T12:02:00Z
n2,voice,outbound,bluebird-eu,nordlink,,34612345678,2026-09-30T12:00:00Z,answered,60,second,2026-10-02T12:02:00Z
n3,voice,outbound,bluebird-eu,nordlink,,34612345678,2026-10-02T12:00:00Z,answered,60,second,2026-10-02T12:02:00Z
p1,voice,outbound,bluebird-eu,ponte-wholesale,,4915112345678,2026-10-05T10:00:00Z,answered,60,second,2026-10-05T10:02:00Z
p2,voice,outbound,bluebird-eu,ponte-wholesale,,99912345678,2026-10-06T10:00:00Z,no_answer,0,second,2026-10-06T10:02:00Z
a1,sms,outbound,bluebird-eu,atlantic-voice,,4915112345678,2026-10-06T10:00:00Z,delivered,9,segment,2026-10-06T10:02:00Z
"""
USAGE += "".join(
    f"t{number},sms,outbound,bluebird-eu,textwave,,4915112345678,2026-10-05T12:00:00Z,delivered,3,segment,"
    "2026-10-05T12:02:00Z\n"
    for number in range(30)
)
DECK = """\
carrier_id,service,direction,deck_version,deck_kind,received_at,effective_date,dial_code,destination_name,rate_amount,rate_currency,rate_per_quantity,rate_unit
nordlink,voice,outbound,1,full,2026-08-01T00:00:00Z,2026-09-01,49,Germany,0.12,EUR,60,second
nordlink,voice,outbound,1,full,2026-08-01T00:00:00Z,2026-09-01,34,Spain,0.50,EUR,60,second
ponte-wholesale,voice,outbound,1,full,2026-08-01T00:00:00Z,2026-09-01,49,Germany,0.12,EUR,60,second
textwave,sms,outbound,1,full,2026-08-01T00:00:00Z,2026-09-01,49,Germany,0.08,EUR,1,message
"""
INVOICES = """\
carrier_id,invoice_number,invoice_version,invoice_date,billing_period_start_date,currency,line_number,line_type,service,direction,destination_name,service_first_date,service_last_date,event_count,billed_quantity,quantity_unit,rate_amount,rate_per_quantity,amount,invoice_total_amount
nordlink,week-40,1,2026-10-05,2026-09-28,EUR,1,usage,voice,outbound,Germany,2026-09-28,2026-10-04,1,60,second,0.12,60,0.12,0.14
nordlink,week-40,1,2026-10-05,2026-09-28,EUR,2,tax,,,,,,,,,,,0.02,0.14
ponte-wholesale,two-months,1,2026-11-02,2026-09-01,EUR,1,usage,voice,outbound,Cuba,2026-09-01,2026-09-30,7,420,second,10,60,70,170.12
ponte-wholesale,two-months,1,2026-11-02,2026-10-01,EUR,2,usage,voice,outbound,Cuba,2026-10-01,2026-10-31,10,600,second,10,60,100,170.12
ponte-wholesale,two-months,1,2026-11-02,2026-10-01,EUR,3,usage,voice,outbound,Germany,2026-10-01,2026-10-31,1,60,second,0.12,60,0.12,170.12
atlantic-voice,phantom,1,2026-11-02,2026-10-01,USD,1,usage,voice,outbound,Cuba,2026-10-01,2026-10-31,,,,,,50000.00,50000.00
textwave,messages,1,2026-11-02,2026-10-01,EUR,1,usage,sms,outbound,Germany,2026-10-01,2026-10-31,30,30,message,0.08,1,2.40,2.40
textwave,mixed,1,2026-11-02,2026-10-01,EUR,1,fee,,,,,,,,,,,3,7
textwave,mixed,1,2026-11-02,2026-10-01,USD,2,fee,,,,,,,,,,,4,7
"""
RAISED = "dispute_id,event_type,event_date,amount\nnordlink:week-40:2026-09:MISSING_THEIRS,raised,2026-10-06,\n"


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home, and what the run said. Read only."""
    folder = tmp_path_factory.mktemp("unusual")
    terms, home = folder / "terms", folder / "home"
    shutil.copytree(DEMO_TERMS, terms)
    for name, (found, *written) in RENEWED.items():
        lines = (terms / name).read_text().splitlines()
        rows = [line.replace(found, new) for line in lines if line.startswith(found) for new in written]
        (terms / name).write_text("\n".join([line for line in lines if not line.startswith(found)] + rows) + "\n")
    attempts = (terms / "rating_terms.csv").read_text()
    attempts = attempts.replace(
        "ponte-2026,voice,outbound,second,1,1,residual,answered,,,,,,",
        "ponte-2026,voice,outbound,second,1,1,residual,answered,,,,,0.05,every_attempt",
    )
    (terms / "rating_terms.csv").write_text(attempts)
    with (terms / "carrier_fees.csv").open("a") as file:
        file.write(FEE)
    rates = "rate_date,base_currency,quote_currency,rate,source\n2026-08-31,EUR,USD,1.25,test\n"
    for kind, text in {
        "usage": USAGE, "rate_decks": DECK, "carrier_invoices": INVOICES, "dispute_events": RAISED, "fx_rates": rates,
    }.items():  # fmt: skip
        (home / "landing" / kind / "native").mkdir(parents=True)
        (home / "landing" / kind / "native" / "all.csv").write_text(text)
    run = tollgate(home, "run", terms=terms)
    assert run.returncode == 0, run.stdout + run.stderr
    return home, run.stdout


def disputes(home: Path, carrier: str) -> list[tuple]:
    return published(
        home,
        f"""select dispute_id, dispute_amount from settle.fct_disputes where carrier_id = '{carrier}'
        order by dispute_id""",
    )


def test_a_phantom_that_counts_nothing_is_disputed_and_not_paid(settled):
    assert disputes(settled[0], "atlantic-voice") == [("atlantic-voice:phantom:2026-10:MISSING_OURS", Decimal(50000))]
    assert published(
        settled[0],
        """select withheld_amount, payable_amount from settle.fct_carrier_settlements
        where carrier_id = 'atlantic-voice'""",
    ) == [(Decimal(50000), Decimal(0))]


def test_an_invoice_over_two_months_has_a_dispute_for_each(settled):
    assert disputes(settled[0], "ponte-wholesale") == [
        ("ponte-wholesale:two-months:2026-09:MISSING_OURS", Decimal(70)),
        ("ponte-wholesale:two-months:2026-10:MISSING_OURS", Decimal(100)),
    ]


def test_what_a_week_leaves_out_of_two_agreements_is_one_dispute(settled):
    assert published(
        settled[0],
        """select destination_name, rated_amount from settle.fct_carrier_invoice_lines
        where carrier_id = 'nordlink' and line_type = 'usage' and not is_invoiced""",
    ) == [("Spain", Decimal("0.5")), ("Spain", Decimal("0.5"))]
    assert disputes(settled[0], "nordlink") == [("nordlink:week-40:2026-09:MISSING_THEIRS", Decimal(0))]


def test_attempts_at_numbers_of_no_code_are_left_out_with_their_money(settled):
    (line,) = published(
        settled[0],
        """select invoice_line_id, rated_amount, component_variance_amount from settle.fct_carrier_invoice_lines
        join settle.fct_variance_components using (invoice_line_id)
        where fct_carrier_invoice_lines.carrier_id = 'ponte-wholesale' and not is_invoiced""",
    )
    assert line[1:] == (Decimal("0.05"), Decimal("-0.05"))
    told = tollgate(settled[0], "explain", line[0])
    assert told.returncode == 0, told.stdout + told.stderr
    assert "numbers that no code begins: 1 event that cost the fee of an attempt each: 0.05 EUR" in told.stdout


def test_an_invoice_in_two_currencies_is_told_with_its_money_and_the_others_settle(settled):
    home, said = settled
    assert "2 rows refused: carrier_invoices/native, invoice_in_several_currencies" in said
    assert published(
        home,
        """select at_risk_currency, sum(at_risk_amount) from settle.fct_held_back_rows
        where held_back_reason = 'invoice_in_several_currencies' group by all order by all""",
    ) == [("EUR", Decimal(3)), ("USD", Decimal(4))]
    assert published(
        home, "select distinct invoice_number from settle.fct_carrier_invoice_lines where carrier_id = 'textwave'"
    ) == [("messages",)]


def test_a_fee_by_the_message_counts_messages_where_usage_is_in_segments(settled):
    assert published(
        settled[0],
        """select rated_amount from settle.fct_carrier_invoice_lines
        where carrier_id = 'textwave' and line_type = 'fee'
        union all select accrued_amount from settle.fct_accruals where fee_name = 'Message fee'""",
    ) == [(Decimal("0.30"),)]
